"""Read data sets of the Hugging Face hub, by name, configuration, split and revision."""

from functools import cache, partial
from typing import Any

from potstill.data import presets
from potstill.data.files import SplitSources
from potstill.data.parquet_files import label_names, with_label_names
from potstill.data.texts import LocatedRows
from potstill.errors import RecipeError, did_you_mean
from potstill.recipe.data import Hub


def split_sources(source: Hub) -> SplitSources:
    """Rows of each split, or the number of rows to draw from `train`.

    Raises `RecipeError` for a data set without training rows, and, once rows are read, for a data set or split that the hub
    does not have.
    """
    preset = presets.lookup(source.preset) if source.preset else None
    name = source.name or (preset.hub if preset else "")
    if not name:
        raise RecipeError(
            f"data: the data set '{source.preset}' is not on the hub; use its files: "
            f"{{source: files, preset: {source.preset}, train: PATH}}."
        )
    config = source.config or (preset.config if preset else None)
    splits: dict[str, str | int] = {"train": "train", "validation": 30, "test": 100}
    if preset and not source.name:
        splits = dict(preset.splits)
    given = {split: getattr(source, split) for split in ("train", "validation", "test", "test_unseen")}
    splits |= {split: value for split, value in given.items() if value is not None}
    if "train" not in splits:
        raise RecipeError(f"data: {name} has only test questions; name a data set to train on, or set data.train.")
    return {
        split: of if isinstance(of, int) else partial(_read_rows, name, config, source.revision, of)
        for split, of in splits.items()
    }


def _read_rows(name: str, config: str | None, revision: str | None, split: str) -> LocatedRows:
    rows = _load(name, config, revision, split)
    features = getattr(rows, "features", None)
    names = label_names(features.to_dict()) if features else {}
    for number, row in enumerate(rows, 1):
        yield f"{name}, {split}, row {number}", with_label_names(row, names)


@cache
def _load(name: str, config: str | None, revision: str | None, split: str) -> Any:
    """The split, from the hub or its cache; the code of a data set is never executed."""
    import datasets
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import GatedRepoError

    datasets.disable_progress_bars()
    try:
        builder = datasets.load_dataset_builder(name, config, revision=revision)
        known = list(builder.info.splits or ())
        if known and split not in known:
            raise RecipeError(
                f"data: {name} has no split '{split}'.{did_you_mean(split, known)} It has {', '.join(known)}."
            )
        return datasets.load_dataset(name, config, split=split, revision=revision)
    except GatedRepoError as error:
        raise RecipeError(f"data: {name} requires consent: accept its terms on the hub and set HF_TOKEN.") from error
    except DatasetNotFoundError as error:
        raise RecipeError(
            f"data: there is no data set '{name}' on the hub, you have no access to it, or the revision is unknown. Check "
            "data.name and data.revision; for a private one set HF_TOKEN."
        ) from error
    except (ConnectionError, OSError) as error:
        raise RecipeError(
            f"data: {name} could not be downloaded from the hub: {str(error).splitlines()[0][:200]}. Check the network, or "
            "use files: {source: files, train: PATH}."
        ) from error
    except ValueError as error:
        raise RecipeError(f"data: {name}: {str(error)[:300]}") from error
