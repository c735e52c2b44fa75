"""Quoting names and texts in SQL where parameters are not allowed."""


def identifier(name: str) -> str:
    """The name, quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The text, quoted for SQL."""
    return "'" + text.replace("'", "''") + "'"
