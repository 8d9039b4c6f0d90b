"""ADQL 2.1 as text: cut into words, of which only those of the language pass, and parsed into sqlglot's tree.

Nothing of the text goes further than this tree; `fink.vo.adql` writes the SQL that runs anew, from the parts that it knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import sqlglot
from sqlglot import errors as sqlglot_errors
from sqlglot import expressions as exp
from sqlglot import parser as sqlglot_parser
from sqlglot import tokens as sqlglot_tokens
from sqlglot.dialects.dialect import Dialect
from sqlglot.tokens import TokenType

from fink.errors import QueryError

LONGEST = 20_000
"""Characters of a query at most."""
MOST_WORDS = 4_000
"""Words, numbers and signs of a query at most."""
DEEPEST = 40
"""Parentheses that may be open at the same time."""

_WORDS: Mapping[str, TokenType] = {
    "ALL": TokenType.ALL,
    "AND": TokenType.AND,
    "AS": TokenType.ALIAS,
    "ASC": TokenType.ASC,
    "BETWEEN": TokenType.BETWEEN,
    "BIGINT": TokenType.BIGINT,
    "CASE": TokenType.CASE,
    "CHAR": TokenType.CHAR,
    "CROSS": TokenType.CROSS,
    "DESC": TokenType.DESC,
    "DISTINCT": TokenType.DISTINCT,
    "DOUBLE PRECISION": TokenType.DOUBLE,
    "ELSE": TokenType.ELSE,
    "END": TokenType.END,
    "EXCEPT": TokenType.EXCEPT,
    "EXISTS": TokenType.EXISTS,
    "FROM": TokenType.FROM,
    "FULL": TokenType.FULL,
    "GROUP BY": TokenType.GROUP_BY,
    "HAVING": TokenType.HAVING,
    "ILIKE": TokenType.ILIKE,
    "IN": TokenType.IN,
    "INNER": TokenType.INNER,
    "INTEGER": TokenType.INT,
    "INTERSECT": TokenType.INTERSECT,
    "IS": TokenType.IS,
    "JOIN": TokenType.JOIN,
    "LEFT": TokenType.LEFT,
    "LIKE": TokenType.LIKE,
    "NATURAL": TokenType.NATURAL,
    "NOT": TokenType.NOT,
    "NULL": TokenType.NULL,
    "OFFSET": TokenType.OFFSET,
    "ON": TokenType.ON,
    "OR": TokenType.OR,
    "ORDER BY": TokenType.ORDER_BY,
    "OUTER": TokenType.OUTER,
    "REAL": TokenType.FLOAT,
    "RIGHT": TokenType.RIGHT,
    "SELECT": TokenType.SELECT,
    "SMALLINT": TokenType.SMALLINT,
    "FALSE": TokenType.FALSE,
    "THEN": TokenType.THEN,
    "TOP": TokenType.TOP,
    "TRUE": TokenType.TRUE,
    "UNION": TokenType.UNION,
    "USING": TokenType.USING,
    "VARCHAR": TokenType.VARCHAR,
    "WHEN": TokenType.WHEN,
    "WHERE": TokenType.WHERE,
    "WITH": TokenType.WITH,
}
_SIGNS: Mapping[str, TokenType] = {
    "||": TokenType.DPIPE,
    ">=": TokenType.GTE,
    "<=": TokenType.LTE,
    "<>": TokenType.NEQ,
    "!=": TokenType.NEQ,
}
_ALLOWED = frozenset(
    {
        *_WORDS.values(),
        *_SIGNS.values(),
        TokenType.STRING,
        TokenType.NUMBER,
        TokenType.IDENTIFIER,
        TokenType.VAR,
        TokenType.COMMA,
        TokenType.DOT,
        TokenType.L_PAREN,
        TokenType.R_PAREN,
        TokenType.PLUS,
        TokenType.DASH,
        TokenType.STAR,
        TokenType.SLASH,
        TokenType.EQ,
        TokenType.LT,
        TokenType.GT,
    }
)
_COLOUR = re.compile(r"\x1b\[\d+m")


class _Language(Dialect):  # type: ignore[misc]
    """ADQL for sqlglot: only these words are special."""

    class Tokenizer(sqlglot_tokens.Tokenizer):  # type: ignore[misc]
        KEYWORDS: Mapping[str, TokenType] = {**_WORDS, **_SIGNS}
        COMMANDS: frozenset[TokenType] = frozenset()


class _Parser(sqlglot_parser.Parser):  # type: ignore[misc]
    """ADQL in which no function is special but CAST: each arrives as a name and its arguments, for the white list to judge."""

    FUNCTIONS: Mapping[str, object] = {}
    FUNCTION_PARSERS: Mapping[str, object] = {"CAST": sqlglot_parser.Parser.FUNCTION_PARSERS["CAST"]}
    NO_PAREN_FUNCTIONS: Mapping[object, object] = {}


def parse(text: str) -> exp.Expression:
    """Parse one ADQL query.

    Raises
    ------
    QueryError
        If it is too long or too deep, uses a word or sign that ADQL has not, or is not one query.
    """
    tokens = _tokens(text)
    try:
        trees = _Parser(error_level=sqlglot.ErrorLevel.IMMEDIATE, dialect=_Language).parse(tokens, text)
    except sqlglot_errors.ParseError as error:
        where = error.errors[0] if error.errors else {}
        at = f"line {where['line']}, near {where['highlight']!r}" if where.get("highlight") else f"near {text[-20:]!r}"
        raise QueryError(f"the query cannot be read at {at}") from error
    except RecursionError as error:
        raise QueryError("the query is too deeply nested; write it with fewer levels") from error
    if len(trees) != 1 or trees[0] is None:
        raise QueryError("one query is expected; send one SELECT")
    return trees[0]


def _tokens(text: str) -> list[sqlglot_tokens.Token]:
    if len(text) > LONGEST:
        raise QueryError(f"the query has {len(text)} characters; {LONGEST} is the limit")
    # comments of templates would hide text from the reader; outside quotes no brace is ADQL anyway
    bad = next((c for c in text if c in "\\{}" or (ord(c) < 32 and c not in "\t\r\n") or 0xD800 <= ord(c) < 0xE000), None)
    if bad is not None:
        raise QueryError(f"the character {bad!r} is not allowed in a query")
    try:
        tokens: list[sqlglot_tokens.Token] = _Language().tokenize(text.strip().removesuffix(";"))
    except sqlglot_errors.TokenError as error:
        raise QueryError("the query has a quote or a comment that is not closed") from error
    if not tokens:
        raise QueryError("the query is empty; send a SELECT, as SELECT TOP 5 * FROM lsst.objects")
    if len(tokens) > MOST_WORDS:
        raise QueryError(f"the query has {len(tokens)} words and signs; {MOST_WORDS} is the limit")
    _check_tokens(tokens)
    return tokens


def _check_tokens(tokens: list[sqlglot_tokens.Token]) -> None:
    depth = 0
    for token in tokens:
        if token.token_type not in _ALLOWED:
            raise QueryError(f"{token.text!r} (line {token.line}, column {token.col}) is not part of ADQL")
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1, TokenType.CASE: 1, TokenType.END: -1}.get(token.token_type, 0)
        if depth > DEEPEST:
            raise QueryError(
                f"more than {DEEPEST} parentheses are open at line {token.line}, column {token.col}; write it with fewer levels"
            )
