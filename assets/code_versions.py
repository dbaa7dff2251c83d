"""Code versions of assets: a digest of the library code that decides their values."""

import ast
import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

_DIGITS = 12


def code_version(*modules: str) -> str:
    """Return a digest of the code of modules and packages; comments, docstrings and layout do not count.

    The modules are read, not imported: mlx is imported in child processes alone.
    """
    digest = hashlib.sha256()
    for module in sorted(modules):
        digest.update(_digest(module))
    return digest.hexdigest()[:_DIGITS]


@lru_cache
def _digest(module: str) -> bytes:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None, f"{module} has no source"
    origin = Path(spec.origin)
    files = sorted(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(origin.parent).as_posix().encode() + b"\0")
        digest.update(ast.dump(_without_docstrings(ast.parse(file.read_bytes()))).encode() + b"\0")
    return digest.digest()


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match node.body:
                case [ast.Expr(ast.Constant(str())), *rest]:
                    node.body = rest
    return tree
