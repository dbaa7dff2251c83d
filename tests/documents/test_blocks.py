"""Blocks are found as they stand in a document, and of their code only import lines are changed."""

from __future__ import annotations

import pytest

from tests.documents.blocks import Block, blocks_of, names_in_tree, run, with_our_imports

DOCUMENT = """# One
text
```python
# no heading
x = 1
```
1. a list
   ```bash
   # no heading either
   ls
   ```
## Two
   - deeper
     ```
     KEY=value
     ```
```python
y = 2
```
"""


def test_every_block_is_found_under_its_heading_without_its_indent() -> None:
    assert list(blocks_of(DOCUMENT).values()) == [
        Block("One 1", "python", "# no heading\nx = 1"),
        Block("One 2", "bash", "# no heading either\nls"),
        Block("Two 1", "", "KEY=value"),
        Block("Two 2", "python", "y = 2"),
    ]


def test_a_block_that_is_not_closed_is_an_error() -> None:
    with pytest.raises(ValueError, match="under 'One' is not closed"):
        blocks_of("# One\n```python\nx")


def test_only_import_lines_are_changed() -> None:
    code = (
        "import numpy\nfrom data.core.base import A, B\nfrom pathlib import Path\nx = 'from data.core.base import A'\n"
    )
    changed = with_our_imports(code).splitlines()
    assert changed == ["import numpy", "from smalti.datasets import A, B", *code.splitlines()[2:]]
    assert with_our_imports("import datamate") == "import smalti as datamate"
    both = with_our_imports("from neuromosaic.utils.storage_manager import fetch_dataset, save_checkpoint")
    assert both == "from smalti.datasets import fetch_dataset; from smalti.training import save_checkpoint"


def test_a_block_runs_with_the_names_it_is_given() -> None:
    assert run(Block("", "python", "from math import pi\ny = x + 1"), {"x": 1})["y"] == 2


def test_a_drawn_tree_is_read_as_paths() -> None:
    tree = "data/\n├── core/       # core\n│   ├── base.py  # types\n│   └── more.py\n└── last/\n    └── one.py\n"
    found = names_in_tree(Block("", "", tree))
    assert found == ["core", "core/base.py", "core/more.py", "last", "last/one.py"]
