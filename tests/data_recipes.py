"""Recipes for the data of a test, and their examples."""

import json

from potstill.data.examples import examples
from potstill.recipe import loading as recipe_file

ENDS = "teacher: {model: packaged/a}\nstudent: {model: packaged/b}\n"


def recipe(folder, data, task="math"):
    return recipe_file.parse(f"name: r\ntask: {task}\ndata: {json.dumps(data)}\n{ENDS}", "r", folder)


def read(folder, data, task="math"):
    return list(examples(recipe(folder, data, task)))


def lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
