"""``calculator``: arithmetic that is right, which small models' is not."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.tools import Tool, tool_from
from zhilu.tools.schema import WRITTEN

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["CALCULATOR", "CalculatorSource", "calculate"]

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": math.sqrt, "abs": abs, "round": round, "min": min, "max": max, "floor": math.floor, "ceil": math.ceil,
    "log": math.log, "log10": math.log10, "exp": math.exp, "sin": math.sin, "cos": math.cos, "tan": math.tan,
    "sum": lambda *values: sum(values),
}  # fmt: skip
_PERCENT = re.compile(
    r"([0-9])[ ]?%(?![ ]?[0-9(.])"
)  # 15 % of something; between two numbers it is the rest of a division
_CONSTANTS = {"pi": math.pi, "e": math.e}
# How a model that is held to a grammar writes an expression: without letters but those of functions, or it writes the name of a
# number in place of the number. Others may write what `calculate` reads.
_WRITTEN = "^([0-9., ()+*/%^-]|(sqrt|abs|round|min|max|floor|ceil|log10|log|exp|sum)[(])+$"
Arithmetic = Annotated[str, Field(json_schema_extra={WRITTEN: _WRITTEN})]
_SIGNS = str.maketrans({"×": "*", "÷": "/", "−": "-", "–": "-", "（": "(", "）": ")", "，": ",", "＋": "+"})
_LONGEST = 500  # characters of an expression
_HIGHEST = 1000  # an exponent: 9**9**9 would fill the memory


# Its description has no numbers: a small model copies them into its own expression.
def calculate(expression: Arithmetic) -> str:
    """Work out an arithmetic expression exactly. Use it for every calculation instead of doing it in your head.

    Args:
        expression: numbers with + - * / % ** and parentheses; also sqrt(), round(, digits), abs(), min(), max().
    """
    text = _PERCENT.sub(r"\1/100", expression.translate(_SIGNS).replace("^", "**")).strip().rstrip("=").strip()
    if len(text) > _LONGEST:
        raise _refused(expression[:60], "it is too long", "表达式太长")
    try:
        value = _value(ast.parse(text, mode="eval").body)
        return _said(value)
    except (SyntaxError, ValueError, TypeError, ZeroDivisionError, OverflowError, RecursionError) as error:
        raise _refused(expression, str(error), str(error)) from error


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        # 0.1 + 0.2 is 0.3 here: a decimal is taken as what stands there, not as the nearest binary fraction
        return Fraction(repr(node.value)) if math.isfinite(node.value) else node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        base, power = _value(node.left), _value(node.right)
        if abs(power) > _HIGHEST or (isinstance(base, Fraction) and base.numerator.bit_length() * abs(power) > 10_000):
            raise ValueError("the power is too high")
        return base**power
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return -_value(node.operand) if isinstance(node.op, ast.USub) else _value(node.operand)
    if isinstance(node, ast.Name) and node.id in _CONSTANTS:
        return _CONSTANTS[node.id]
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _FUNCTIONS
        and not node.keywords
    ):
        given = [_value(argument) for argument in node.args]
        if node.func.id == "round" and len(given) == 2:
            given[1] = int(given[1])
        value = _FUNCTIONS[node.func.id](*given)
        return Fraction(value) if isinstance(value, int) else value
    raise ValueError(f"{ast.unparse(node)!r} is no arithmetic")


def _said(value: Any) -> str:
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return str(value.numerator)
        value = float(value)
    if isinstance(value, complex):
        raise ValueError("the result is no real number")
    return f"{value:.12g}"


def _refused(given: str, en: str, zh: str) -> InputError:
    return InputError(T(f"{given!r} cannot be worked out: {en}.", f"{given!r} 无法计算：{zh}。"), param="expression")


class CalculatorSource:
    title = T("A calculator", "计算器")
    usage = "calculator"
    is_local = False
    example = "calculator"

    @asynccontextmanager
    async def open(self, context: Context, argument: str) -> AsyncIterator[list[Tool]]:
        yield [tool_from(calculate, name="calculator", title=T("Work out numbers", "计算数值"), composes=True)]


CALCULATOR = CalculatorSource()
