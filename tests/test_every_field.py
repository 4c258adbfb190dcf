"""Every field of a recipe reaches what it controls. A field of the schema without a case here fails."""

import shutil

import pytest

from fields import asking, data, evaluation, servers, tasks, training
from fields.case import fields_of_the_schema, recipe

CASES = [one for part in (asking, data, evaluation, servers, tasks, training) for one in part.CASES]


@pytest.fixture(scope="session")
def at_hand(tmp_path_factory, tiny_folder):
    """A folder with a tiny model, and the files of rows."""
    folder = tmp_path_factory.mktemp("fields")
    shutil.copytree(tiny_folder, folder / "tiny")
    template = folder / "tiny" / "chat_template.jinja"
    template.write_text("{% if terse %}{% endif %}" + template.read_text())
    data.write_rows(folder)
    return folder


def test_every_field_of_the_schema_has_a_case():
    assert sorted({one.field for one in CASES}) == list(fields_of_the_schema())


@pytest.mark.parametrize(
    ("one", "value", "expected"),
    [pytest.param(one, *pair, id=f"{one.field}={pair[0]}"[:60]) for one in CASES for pair in one.pairs],
)
def test_a_field_reaches_what_it_controls(at_hand, one, value, expected):
    assert one.seen(recipe(at_hand, *one.also, (one.path, value))) == expected
