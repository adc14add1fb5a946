"""Breaks a statement into lines, for people: each clause of a select begins a line, and each of its columns."""

import re
from dataclasses import dataclass

WORD = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[(),]|[^\s(),'"]+""")
CLAUSES = {"FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION"}
JOINS = {"JOIN", "LEFT", "CROSS"}
INDENT = "  "


@dataclass
class _Level:
    """The content of a pair of parentheses. clause: the current one, if it is a select; otherwise None."""

    depth: int
    clause: str | None = None

    @property
    def inner_depth(self) -> int:
        """The depth of parentheses in it: columns are indented more than the clauses of their select."""
        return self.depth + (self.clause == "SELECT")


def formatted(statement: str) -> str:
    """The statement, with changed white space only."""
    words = list(WORD.finditer(statement))
    levels, parts, end = [_Level(0)], list[str](), 0
    for number, match in enumerate(words):
        word, level = match.group(), levels[-1]
        following = words[number + 1].group() if number + 1 < len(words) else ""
        space = "" if match.start() == end else " "
        line = "\n" + INDENT * level.depth
        end = match.end()
        if word == ")" and len(levels) > 1:
            levels.pop()
            space = "" if level.clause is None else "\n" + INDENT * levels[-1].inner_depth
        elif word == "SELECT":
            # The statement itself begins with its first line.
            space = line if parts else ""
            level.clause = word
        elif level.clause is not None and (word in CLAUSES or (word in JOINS and level.clause == "FROM")):
            is_continued = word == "JOIN" and parts[-1].strip() in ("OUTER", "LEFT", "CROSS")
            space = space if is_continued or (word == "FROM" and parts[-1].strip() == "DISTINCT") else line
            level.clause = word if word in CLAUSES else level.clause
        elif parts and parts[-1] == "," and level.clause == "SELECT":
            space = line + INDENT
        parts.append(space + word)
        if word == "(":
            levels.append(_Level(level.inner_depth + (following == "SELECT")))
    return "".join(parts)
