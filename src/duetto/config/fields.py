"""What the fields of a configuration accept, read from their annotations.

hidden: Annotated[int, whole(1, 65_536)]         a type and a condition
pooling: Literal["last", "attention"]            one of several strings

dataclass ─ field_types ─▶ {name: FieldType} ─▶ convert (a TOML or JSON value), problem (an invalid value)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import ConfigurationError
from ..utils.reading import finite, shortened

Configuration = TypeVar("Configuration")


@dataclass(frozen=True)
class Condition:
    """What a value must satisfy beyond its type.

    Attributes:
        holds: Whether a value is valid; false for NaN.
        advice: What to give instead of an invalid value, such as "give a number above 0".
    """

    holds: Callable[[Any], bool]
    advice: str


def whole(low: int, high: int) -> Condition:
    """A whole number in a range.

    Args:
        low: Smallest valid number.
        high: Largest valid number.

    Returns:
        The condition.
    """
    return Condition(lambda value: low <= value <= high, f"give a whole number from {low} to {high}")


def one_of(choices: Collection[str]) -> Condition:
    """One of several strings.

    Args:
        choices: The valid strings, such as the keys of a registry.

    Returns:
        The condition.
    """
    return Condition(lambda value: value in choices, f"choose from {', '.join(choices)}")


Positive = Annotated[float, Condition(lambda value: 0 < value < math.inf, "give a number above 0")]
"""A finite number above 0."""

Weight = Annotated[float, Condition(lambda value: 0 <= value < math.inf, "give a weight from 0 on")]
"""The weight of a term of a loss."""

Share = Annotated[float, Condition(lambda value: 0 <= value <= 1, "give a share in [0, 1]")]
"""A share that may be all."""

Dropout = Annotated[float, Condition(lambda value: 0 <= value < 1, "give a share in [0, 1)")]
"""A share to drop at random, which must leave something."""

Percentage = Annotated[float, Condition(lambda value: 0 <= value <= 100, "give a percentage")]
"""A number from 0 to 100."""


@dataclass(frozen=True)
class FieldType:
    """What one field accepts.

    Attributes:
        types: Accepted types; a tuple holds strings.
        condition: What holds for a valid value, and for each item of a tuple.
    """

    types: tuple[type, ...]
    condition: Condition | None = None

    @classmethod
    def of(cls, hint: Any) -> FieldType:
        """The type that an annotation describes.

        Args:
            hint: A type, `Literal` of strings, `tuple` of either, any of these in `Annotated` with a `Condition`, or a
                union of these.

        Returns:
            Types and condition of the annotation.
        """
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in (Union, UnionType):
            parts = [cls.of(part) for part in arguments]
            conditions = [part.condition for part in parts if part.condition is not None]
            return cls(tuple(accepted for part in parts for accepted in part.types), *conditions[:1])
        if origin is Annotated:
            return cls(cls.of(arguments[0]).types, arguments[1])
        if origin is Literal:
            return cls((str,), one_of(arguments))
        if origin is tuple:
            return cls((tuple,), cls.of(arguments[0]).condition)
        return cls((hint,))

    def convert(self, value: Any, where: str) -> Any:
        """Convert a value of a TOML or JSON file: a list to a tuple, a whole number to a float where one is due.

        Args:
            value: What the file holds.
            where: File and key, for the error.

        Returns:
            A value of one of `types`, which may still violate `condition`.

        Raises:
            ConfigurationError: The value is of another type.
        """
        if isinstance(value, list):
            value = tuple(value)
        if float in self.types and (number := finite(value)) is not None:
            value = number
        fits = isinstance(value, self.types) and (bool in self.types or not isinstance(value, bool))
        if not fits or (isinstance(value, tuple) and not all(isinstance(item, str) for item in value)):
            raise ConfigurationError(f"{where} = {shortened(value)} is not of type {self._names()}")
        return value

    def problem(self, key: str, value: Any) -> str | None:
        """What is wrong with a value of the right type.

        Args:
            key: Name of the field, for the message.
            value: Its value.

        Returns:
            The message of an error, or None for a valid value.
        """
        if self.condition is None or (value is None and NoneType in self.types):
            return None
        items = value if isinstance(value, tuple) else (value,)
        if all(map(self.condition.holds, items)):
            return None
        return f"{key} = {shortened(value)} is not valid; {self.condition.advice}"

    def _names(self) -> str:
        names = {tuple: "list of str", NoneType: "None"}
        return " or ".join(names.get(accepted, accepted.__name__) for accepted in self.types)


@cache
def field_types(configuration: type) -> dict[str, FieldType]:
    """What each field of a configuration accepts.

    Args:
        configuration: A dataclass.

    Returns:
        Name of the field → its type, in the order of the fields.
    """
    return {name: FieldType.of(hint) for name, hint in get_type_hints(configuration, include_extras=True).items()}


def from_values(configuration: type[Configuration], values: Mapping[str, Any], where: str) -> Configuration:
    """Make a configuration of TOML or JSON values.

    Args:
        configuration: A dataclass whose annotations `field_types` reads.
        values: Key → value; keys with a default may be missing.
        where: Opens the message of every error, such as the name of the file.

    Returns:
        The configuration.

    Raises:
        ConfigurationError: A key is unknown or missing, a value is of the wrong type or not valid, or values
            contradict each other.
    """
    accepted = field_types(configuration)
    for key in values:
        if key not in accepted:
            raise ConfigurationError(
                f"{where}: unknown key {shortened(key)}; known keys are {', '.join(sorted(accepted))}"
            )
    for field in fields(configuration):  # pyright: ignore[reportArgumentType]
        if field.default is MISSING and field.name not in values:
            raise ConfigurationError(f"{where}: {field.name!r} is required")
    converted = {key: accepted[key].convert(value, f"{where}: {key}") for key, value in values.items()}
    try:
        return configuration(**converted)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from error
