"""distilabel: a pipeline with one step, which sends requests to an OpenAI-compatible server."""

import os

os.environ["OPENAI_API_KEY"] = "none"

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration
from work import IN_FLIGHT, PROMPTS, URL, measured


def complete_all():
    with Pipeline(name="bench") as pipeline:
        rows = LoadDataFromDicts(data=[{"instruction": prompt} for prompt in PROMPTS], batch_size=IN_FLIGHT)
        llm = OpenAILLM(
            base_url=URL, model="mock", api_key="none", max_retries=8,
            generation_kwargs={"max_new_tokens": 256, "temperature": 0.0},
        )  # fmt: skip
        rows >> TextGeneration(llm=llm, input_batch_size=IN_FLIGHT)
    result = pipeline.run(use_cache=False)
    return sum(bool(row["generation"]) for row in result["default"]["train"])


if __name__ == "__main__":
    measured(complete_all)
