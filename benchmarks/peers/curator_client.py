"""bespokelabs-curator's LLM on an OpenAI-compatible server."""

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

from bespokelabs import curator
from work import IN_FLIGHT, PROMPTS, URL, measured


def ask_all():
    llm = curator.LLM(
        model_name="mock",
        backend="openai",
        generation_params={"max_tokens": 256, "temperature": 0.0},
        backend_params={
            "base_url": URL, "max_concurrent_requests": IN_FLIGHT, "max_requests_per_minute": 10**7,
            "max_tokens_per_minute": 10**9, "max_retries": 8, "require_all_responses": False,
        },
    )  # fmt: skip
    made = llm(PROMPTS)
    return sum(bool(row["response"]) for row in getattr(made, "dataset", made))


if __name__ == "__main__":
    measured(ask_all)
