"""Does the order of the training steps matter for what is learnt? Grouped by length as potstill does it, random, and sinking.

    python benchmarks/batch_order.py runs/quickstart --seeds 3

Trains the run's student on its kept rows but every fifth, once for each seed and order, and prints the loss on every fifth,
in nats per token, with the seconds of training. `sinking` is the order of `transformers`' `group_by_length`: sorted within
pools, so that an epoch ends on its shortest rows.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import fmean, stdev

import torch
from transformers.trainer_pt_utils import get_length_grouped_indices

from potstill.models.local import loading
from potstill.recipe import loading as recipe_file
from potstill.recipe.recipe import Recipe
from potstill.stages.train import trainer
from potstill.stages.train.rows import tokenized
from potstill.stages.train.student import Checkpoint, loss
from potstill.workspace.artifacts import CURATED, CuratedRow
from potstill.workspace.run import Run


def shuffled(lengths: list[int], size: int, generator: torch.Generator) -> list[int]:
    return torch.randperm(len(lengths), generator=generator).tolist()


def sinking(lengths: list[int], size: int, generator: torch.Generator) -> list[int]:
    return get_length_grouped_indices(lengths, size, generator=generator)


ORDERS = {"grouped": trainer.grouped_by_length, "random": shuffled, "sinking": sinking}


def held_out_loss(recipe: Recipe, rows: list[CuratedRow]) -> tuple[float, float]:
    """Train on the rows but every fifth; the loss on every fifth, and the seconds of training."""
    base = recipe.student.model.download()
    trained_on = [row for i, row in enumerate(rows) if i % 5]
    steps = recipe.train.epochs * -(-len(trained_on) // recipe.train.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        trainer.fit(recipe, base, trained_on, trainer.Position(Path(folder), None, steps))
        seconds = time.perf_counter() - start
        model = Checkpoint(recipe, base, (Path(folder) / f"checkpoint-{steps}",), (1,)).merged()
    chat = loading.load_chat(base, recipe.student.chat_template)
    return loss(model, [tokenized(chat, row) for row in rows[::5]]), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a folder of a run with curated.parquet")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="in place of the recipe's")
    options = parser.parse_args()
    recipe = recipe_file.load(options.run / "recipe.yaml")
    rows = [row for row in Run(options.run, recipe, options.run / "none.sqlite").read(CURATED) if row["turns"]]
    for name, order in ORDERS.items():
        trainer.grouped_by_length = order
        results = []
        for seed in range(options.seeds):
            changed = {"seed": seed, "epochs": options.epochs or recipe.train.epochs}
            train = recipe.train.model_copy(update=changed)
            results.append(held_out_loss(recipe.model_copy(update={"train": train}), rows))
        losses, seconds = zip(*results, strict=True)
        spread = f" (standard deviation {stdev(losses):.3f})" if len(losses) > 1 else ""
        each = ", ".join(f"{value:.3f}" for value in losses)
        print(f"{name:8} loss {fmean(losses):.3f}{spread}: {each}; {fmean(seconds):.0f} s")


if __name__ == "__main__":
    main()
