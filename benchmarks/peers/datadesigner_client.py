"""NVIDIA's DataDesigner: one column of text from an OpenAI-compatible server, over the prompts as seed data.

Its health check and telemetry are off, and so is its limit on errors, since all answers must come.
The seconds include its statistics about the column, which it always computes.
"""

import os
import tempfile

os.environ |= {"NEMO_TELEMETRY_ENABLED": "false", "DATA_DESIGNER_HOME": tempfile.mkdtemp()}

import data_designer.config as dd
import pandas
from data_designer.interface import DataDesigner
from work import FOLDER, IN_FLIGHT, PROMPTS, URL, measured


def complete_all():
    provider = dd.ModelProvider(name="mock", endpoint=URL, provider_type="openai", api_key="none")
    designer = DataDesigner(artifact_path=FOLDER or tempfile.mkdtemp(), model_providers=[provider])
    designer.set_run_config(dd.RunConfig(disable_early_shutdown=True, max_in_flight_tasks=2 * IN_FLIGHT))
    model = dd.ModelConfig(
        alias="mock", model="mock", provider="mock", skip_health_check=True,
        inference_parameters=dd.ChatCompletionInferenceParams(
            temperature=0.0, max_tokens=256, max_parallel_requests=IN_FLIGHT
        ),
    )  # fmt: skip
    columns = dd.DataDesignerConfigBuilder(model_configs=[model])
    columns.with_seed_dataset(dd.DataFrameSeedSource(df=pandas.DataFrame({"prompt_text": PROMPTS})))
    columns.add_column(dd.LLMTextColumnConfig(name="answer", prompt="{{ prompt_text }}", model_alias="mock"))
    answered = designer.create(columns, num_records=len(PROMPTS)).load_dataset()
    return int(answered["answer"].astype(bool).sum())


if __name__ == "__main__":
    measured(complete_all)
