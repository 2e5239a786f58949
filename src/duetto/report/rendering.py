"""Jinja2 templates → HTML: the only module that imports Jinja2, and only when a page is rendered.

Templates lie in `templates/`. Everything in them is escaped; none loads a file, and a
script in a page is allowed by its digest alone.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError
from . import formatting

if TYPE_CHECKING:
    import jinja2

_FILTERS = (
    formatting.quantity,
    formatting.interval,
    formatting.number,
    formatting.p_value,
    formatting.plain,
    formatting.points,
    formatting.spread,
)


def render(template: str, **values: Any) -> str:
    """Render a template.

    Args:
        template: Its file name in `templates/`.
        values: Variables of the template.

    Returns:
        The rendered text.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    return _environment().get_template(template).render(values)


def digest(script: str) -> str:
    """Name a script in a content security policy.

    Args:
        script: Exactly what stands in the `script` element.

    Returns:
        `sha256-` and the digest in base64 (W3C, *Content Security Policy Level 3*).
    """
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def require_html() -> None:
    """Check that HTML can be rendered, before work begins whose result is a page.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    _environment()


@cache
def _environment() -> jinja2.Environment:
    try:
        import jinja2
    except ImportError as error:
        raise MissingExtraError("an HTML report", "train") from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("duetto.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update({function.__name__: function for function in _FILTERS})
    environment.filters["digest"] = digest
    environment.globals["MISSING"] = formatting.MISSING
    return environment
