import pytest

from potstill import recipe_file
from potstill.errors import RecipeError

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
