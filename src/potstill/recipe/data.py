"""The recipe section `data`: the sources of examples."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, ValidationInfo, model_validator

from potstill.config import Section, Seed, resolve_against_recipe
from potstill.recipe.redaction import Redactor

STDIN = Path("-")


class DataSource(Section):
    """A source of examples, as the stages see it."""

    has_answers: ClassVar[bool] = False
    """Whether its rows contain the teacher's answers, so that no requests are needed."""

    shares_groups: ClassVar[bool] = False
    """Whether test questions have the groups of training questions on purpose."""

    @property
    def gives_prompts(self) -> bool:
        """Whether the rows are chats, whose messages are the prompts of all models."""
        return False

    seed: Seed | None = None
    """Seed of examples, splits, the order of options and the drawn few-shot examples. Left out: the recipe's `seed`."""

    @property
    def real(self) -> "DataSource":
        """The source of the real rows, which are not synthesized."""
        return self

    @property
    def synthesis(self) -> "Synthesize | None":
        """How new inputs are requested from the teacher; None where none are."""
        return None

    @property
    def uses_teacher(self) -> bool:
        """Whether the data stage sends requests to the teacher."""
        return self.synthesis is not None

    @property
    def new_inputs(self) -> int:
        """The number of new inputs requested from the teacher."""
        return self.synthesis.n if self.synthesis else 0

    def files(self) -> list[Path]:
        """The user's files and folders that examples come from."""
        named = [getattr(self, split, None) for split in ("train", "validation", "test", "test_unseen")]
        return [path for path in named if isinstance(path, Path)]


class WordProblems(DataSource):
    """Arithmetic word problems generated from a seed; see `potstill.data.word_problems`."""

    shares_groups: ClassVar[bool] = True

    source: Literal["word_problems"] = "word_problems"
    """Where the examples come from."""
    train: int = Field(default=150, ge=1)
    """Questions that the teacher answers."""
    validation: int = Field(default=30, ge=1)
    """Validation questions, to select a checkpoint."""
    test: int = Field(default=100, ge=1)
    """Test questions from the templates of the training questions; none is a training question."""
    test_unseen: int = Field(default=100, ge=0)
    """Test questions from templates that training never uses."""


def _data_file(path: Path, info: ValidationInfo) -> Path:
    return path if path == STDIN else resolve_against_recipe(path, info)


DataFile = Annotated[Path, AfterValidator(_data_file)]
Count = Annotated[int, Field(ge=1)]


def _column_names(value: Any) -> Any:
    if not isinstance(value, str) and not (
        isinstance(value, list) and len(value) > 1 and all(isinstance(n, str) for n in value)
    ):
        raise ValueError("a column is a name in quotes, or, for options, a list of at least two names")
    return value


class Rows(DataSource):
    """Options of any source of the user's own rows."""

    preset: str | None = None
    """Name of a data set whose format the rows have, such as `gsm8k`; see `potstill.data.presets`."""
    columns: dict[str, Annotated[str | list[str], BeforeValidator(_column_names)]] = {}
    """Your column for each of potstill's: the task's own (`question`), `gold`, and, where you have them, `id`, `group`, `system`
    (a system prompt for teacher and student), `prompt` (the student's prompt, used unchanged), `rationale` (written by a human) and
    `steps` (their number in a solution; the report shows what filters do to it).
    Default: the column of the same name. Options in columns of their own are a list of names: `options: [A, B, C, D]`. For a
    task with one column of text, `messages` names chats of a system prompt, one question and its answer: these are the prompts,
    unchanged and for all models, and the answer is gold. For the task conversation, `reference` names reference answers for judges, a list
    with one for each turn of the user (null: none), as in MT-Bench; beside a column `turns` it is read without being named."""
    system: str | None = Field(default=None, min_length=1)
    """System prompt, for teacher and student, of the rows that have none of their own."""
    unlabelled: Literal["refuse", "keep", "drop"] | None = None
    """What to do with rows without gold. Default: `refuse` where the task scores answers against gold, otherwise `keep`."""
    most_left_out: float = Field(default=0.1, ge=0, le=1)
    """Fraction of the rows of a file or split that may be left out because they cannot be used (tool calls, an unknown label);
    they are counted by reason. Above it the run stops."""
    limit: int | None = Field(default=None, ge=1)
    """Maximum number of rows, taken from the start of each file or split; rows that are left out do not count."""

    @property
    def gives_prompts(self) -> bool:
        return "messages" in self.columns


class Files(Rows):
    """Your own examples: JSON Lines (also gzipped), CSV or Parquet, a row for each question, or a folder of these."""

    source: Literal["files"]
    """Where the examples come from."""
    train: DataFile
    """Rows that the teacher answers. Paths are relative to the recipe's folder; `-` is standard input, as JSON Lines."""
    validation: DataFile | Count = 30
    """Rows to select a checkpoint: a file, or the number of rows drawn by seed from `train`."""
    test: DataFile | Count = 100
    """Rows to compare systems on: a file, or the number of rows drawn by seed from `train`."""
    test_unseen: DataFile | None = None
    """A second test set, of a kind that does not occur in training."""


class Hub(Rows):
    """A data set of the Hugging Face hub; `data: gsm8k` is short for `{source: hub, preset: gsm8k}`."""

    source: Literal["hub"]
    """Where the examples come from."""
    name: str | None = None
    """Its name on the hub, such as `openai/gsm8k`. Default: the preset's."""
    config: str | None = None
    """Its configuration. Default: the preset's, or the only one."""
    revision: str | None = None
    """Commit, tag or branch; only a commit guarantees that the data never changes."""
    train: str | None = None
    """Split that the teacher answers. Default: the preset's, or `train`."""
    validation: Count | str | None = None
    """Split to select a checkpoint, or the number of rows drawn by seed from `train`. Default: the preset's, or 30."""
    test: Count | str | None = None
    """Split to compare systems on, or the number of rows drawn by seed from `train`. Default: the preset's, or 100."""
    test_unseen: str | None = None
    """A second test split, of a kind that does not occur in training."""

    @model_validator(mode="after")
    def _has_name(self) -> "Hub":
        if self.name is None and self.preset is None:
            raise ValueError("a data set needs a name or a preset")
        return self


class Logs(DataSource):
    """Answers of a teacher that are already paid for: request and response logs of OpenAI-compatible servers, batch input
    and output files, Bedrock invocation logs, or pairs of prompt and completion. No requests are sent to the teacher."""

    has_answers: ClassVar[bool] = True

    source: Literal["logs"]
    """Where the examples come from."""
    train: DataFile
    """The log, or a folder of its files. The student is trained on the logged prompts unchanged."""
    validation: Count = 30
    """Number of rows drawn by seed from `train`; they have no gold, so the checkpoint of the last epoch is used."""
    test: Count = 100
    """Number of rows drawn by seed from `train`, to compare the student with the logged answers."""
    redact: list[str] = []
    """Kinds of personal data to redact in prompts and answers before anything is written: `email`, `phone`, `card`, `iban`,
    `ip`, `key` (of servers)."""
    redact_patterns: dict[str, str] = {}
    """Your own patterns: a name, which replaces each match, and a regular expression."""
    most_left_out: float = Field(default=0.1, ge=0, le=1)
    """Fraction of the logged answers that may be left out because the task cannot use them; what a log holds beside answers
    (failed requests, tool calls) does not count."""
    limit: int | None = Field(default=None, ge=1)
    """Maximum number of rows, taken from the start of the log."""

    @model_validator(mode="after")
    def _valid_redaction(self) -> "Logs":
        Redactor(self.redact, self.redact_patterns)
        return self


def _source(data: Any) -> str:
    if isinstance(data, dict):
        return str(data.get("source", "word_problems"))
    return str(getattr(data, "source", "word_problems"))


_Rows = Annotated[WordProblems, Tag("word_problems")] | Annotated[Files, Tag("files")] | Annotated[Hub, Tag("hub")]


class Synthesize(DataSource):
    """New inputs that the teacher writes from a few real ones; see `potstill.stages.data.synthesize`. They are used for training
    only: validation and test rows are real."""

    source: Literal["synthesize"]
    """Where the examples come from."""
    seeds: Annotated[_Rows, Discriminator(_source)]
    """The real data. New inputs are derived from its training rows, which are used for training too."""
    n: Count
    """Number of new inputs to request; unreadable ones and near-duplicates are dropped."""
    methods: list[Literal["new", "harder", "reworded", "renamed"]] = Field(
        default=["new", "harder", "renamed"], min_length=1
    )
    """Methods, used in turn: `new` inputs similar to three examples; an input made `harder`, `reworded`, or given other names
    and numbers (`renamed`)."""
    topics: list[str] = []
    """Topics, of which each new input gets one."""
    difficulties: list[str] = []
    """Levels, such as `easy` and `hard`, of which each new input gets one."""
    similarity: float = Field(default=0.6, gt=0, le=1)
    """Two inputs are near-duplicates from this Jaccard similarity of their word trigrams on."""
    temperature: float = Field(default=0.9, gt=0)
    """Sampling temperature of the teacher for new inputs."""
    max_tokens: int = Field(default=512, ge=1)
    """Maximum tokens of a new input."""

    @model_validator(mode="after")
    def _one_seed(self) -> "Synthesize":
        if self.seeds.seed is not None:
            raise ValueError("seeds has no seed of its own; set data.seed")
        return self

    @property
    def real(self) -> DataSource:
        return self.seeds

    @property
    def synthesis(self) -> "Synthesize":
        return self

    def files(self) -> list[Path]:
        return self.seeds.files()


def _expand_preset_name(value: Any) -> Any:
    return {"source": "hub", "preset": value} if isinstance(value, str) else value


Data = Annotated[
    _Rows | Annotated[Logs, Tag("logs")] | Annotated[Synthesize, Tag("synthesize")],
    Discriminator(_source),
    BeforeValidator(_expand_preset_name),
]
