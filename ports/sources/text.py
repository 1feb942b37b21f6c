"""What a feed calls things, made fit to be shown: hostile until then."""


def clean(text: object, longest: int = 120) -> str:
    """One line of printable characters, single spaces between its words, cut after ``longest``.

    Neither control characters nor those that turn the direction of what follows are kept. Whatever is neither text
    nor a number is nothing.
    """
    if not isinstance(text, str):
        text = str(text) if isinstance(text, int | float) and not isinstance(text, bool) else ""
    if not text.isprintable():
        text = "".join(_shown(character) for character in text)
    return " ".join(text.split())[:longest].rstrip()


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else ""
