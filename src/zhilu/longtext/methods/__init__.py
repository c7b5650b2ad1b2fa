"""The ways to answer a question from a text that does not fit. To add one: a file, and its line here."""

from zhilu.errors import NotFoundError, nearest
from zhilu.longtext.methods.base import BATCH, Call, Method, Problem, Steps, is_supported
from zhilu.longtext.methods.beginning import BEGINNING
from zhilu.longtext.methods.map_reduce import MAP_REDUCE
from zhilu.longtext.methods.refine import REFINE
from zhilu.longtext.methods.retrieval import RETRIEVAL
from zhilu.longtext.methods.sliding import SLIDING
from zhilu.messages import T

__all__ = ["BATCH", "METHODS", "Call", "Method", "Problem", "Steps", "is_supported", "method_of"]

METHODS = {method.name: method for method in (RETRIEVAL, SLIDING, MAP_REDUCE, REFINE, BEGINNING)}


def method_of(name: str) -> Method:
    """
    Raises:
        NotFoundError: names the methods there are.
    """
    if name not in METHODS:
        close, there = nearest(name, METHODS), ", ".join(METHODS)
        hint = T(f" Did you mean {close!r}?", f"是不是 {close!r}？") if close else T("", "")
        raise NotFoundError(
            T(
                f"There is no method {name!r}; there are {there}.{hint.en}",
                f"没有方法 {name!r}；现有：{there}。{hint.zh}",
            ),
            param="methods",
            fix=f"zhilu longtext ask FILE QUESTION --method {close or 'retrieval'}",
        )
    return METHODS[name]
