"""How tests read a page: as a person does."""

import html
import re
from typing import Any


def text(response: Any) -> str:
    """What stands on the page, without markup and pictures."""
    main = re.sub(r"<(svg|script|style)\b.*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def errors(response: Any) -> dict[str, list[str]]:
    """The refusals of the form on the page, by field."""
    return {field: list(sentences) for field, sentences in response.context["form"].errors.items()}
