"""bespokelabs-curator's LLM on an OpenAI-compatible server.

It counts the tokens of each prompt with a tokenizer that it downloads. A tokenizer of words replaces it here, so that no
network is needed; that one is no slower.
"""

import os
import sys
import tempfile

os.environ |= {
    "OPENAI_API_KEY": "none",
    "TELEMETRY_ENABLED": "false",
    "CURATOR_VIEWER": "0",
    "CURATOR_DISABLE_RICH_DISPLAY": "1",
    "CURATOR_CACHE_DIR": sys.argv[3] if len(sys.argv) > 3 else tempfile.mkdtemp(),
}

import tiktoken

words = tiktoken.Encoding(
    "words", pat_str=r"\w+|\W", mergeable_ranks={bytes([i]): i for i in range(256)}, special_tokens={}
)
tiktoken.get_encoding = tiktoken.encoding_for_model = lambda name: words

from bespokelabs import curator  # noqa: E402
from work import IN_FLIGHT, PROMPTS, URL, measured  # noqa: E402


def complete_all():
    llm = curator.LLM(
        model_name="mock",
        backend="openai",
        generation_params={"max_tokens": 256, "temperature": 0.0},
        backend_params={
            "base_url": URL, "max_concurrent_requests": IN_FLIGHT, "max_requests_per_minute": 10**7,
            "max_tokens_per_minute": 10**9, "max_retries": 8, "require_all_responses": False,
        },
    )  # fmt: skip
    result = llm(PROMPTS)
    return sum(bool(row["response"]) for row in getattr(result, "dataset", result))


if __name__ == "__main__":
    measured(complete_all)
