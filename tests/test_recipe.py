import re
from pathlib import Path

import pytest
import yaml

from potstill.errors import RecipeError
from potstill.models.prices import Price
from potstill.models.specs import Endpoint
from potstill.recipe import loading as recipe_file
from potstill.recipe.recipe import Condition

GOOD = """\
name: x
task: math
data: {source: word_problems}
teacher: {model: packaged/a}
student: {model: packaged/b}
"""


def test_quickstart_is_found_by_name_and_survives_a_round_trip():
    recipe = recipe_file.load("quickstart")
    assert recipe_file.parse(recipe_file.dump(recipe)) == recipe


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (GOOD + "trian: {}\n", ["6:1", "unknown key 'trian'", "Did you mean 'train'"]),
        (GOOD + "train:\n  epochs: many\n", ["7:11", "train.epochs", "'many'"]),
        (GOOD + "train:\n  epoch: 1\n", ["7:3", "Did you mean 'epochs'"]),
        (GOOD + "condition: cot-rational\n", ["6:12", "Did you mean 'cot-rationale'"]),
        (GOOD.replace("task: math\n", ""), ["1:1", "'task' is missing"]),
        (GOOD + "name: y\n", ["6:1", "twice"]),
        (GOOD + "seed: 4294967296\n", ["6:7", "'seed'"]),
        (GOOD + "train: {learning_rate: .inf}\n", ["6:24", "train.learning_rate", "finite"]),
        (GOOD + "generate: {max_tokens: 99999999999999999999}\n", ["6:24", "generate.max_tokens", "larger"]),
        (GOOD.replace("name: x", "name: completions.sqlite"), ["1:7", "choose another"]),
        (GOOD + "evaluate: &a {x: *a}\n", ["6:"]),
        ("a: [1\n", ["not YAML"]),
        ("- 1\n", ["mapping"]),
        (GOOD + "generate: {samples: 2}\n", ["6:11", "temperature"]),
    ],
)
def test_faults_are_named_with_place_and_cure(text, pieces):
    with pytest.raises(RecipeError) as error:
        recipe_file.parse(text, "r.yaml")
    for piece in pieces:
        assert piece in str(error.value)


def test_the_readme_explains_each_condition():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    _, *lines = readme[readme.index("| `condition` |") :].split("\n\n")[0].splitlines()
    explained = [line.split("`")[1] for line in lines[1:]]
    assert sorted(explained) == sorted(Condition)
    assert f"| `{recipe_file.parse(GOOD).condition}` (default) |" in readme


def test_the_recipes_in_the_readme_are_recipes():
    blocks = re.findall(r"```yaml\n(.*?)```", (Path(__file__).parents[1] / "README.md").read_text(), re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        sections = yaml.safe_load(GOOD) | yaml.safe_load(block)
        recipe_file.parse(yaml.safe_dump(sections))


def test_prices_of_the_table_are_used_where_the_recipe_has_none():
    listed = Endpoint(url="https://api.openai.com/v1", model="gpt-4o-2024-08-06")
    assert listed.charged == Price(input=2.5, cached_input=1.25, output=10)
    assert Endpoint(url="https://api.openai.com/v1", model="gpt-4o", mode="batch").charged.output == 5
    assert Endpoint(url="https://elsewhere.example/v1", model="gpt-4o").charged is None
    own = Price(input=1, output=1)
    assert Endpoint(url="https://api.openai.com/v1", model="gpt-4o", price=own).charged == own
