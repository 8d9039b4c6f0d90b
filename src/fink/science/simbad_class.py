"""SIMBAD class: the type that SIMBAD gives to the object at this place, under its present and its former name, and its kin.

SIMBAD renamed its types in 2022, and services that hand them on use codes (``Y*?``), present names (``YSO_Candidate``) or
former ones (``Candidate_YSO``, for a while ``EB*_Candidate``). Whatever was installed as `simbad_type` is read, and given in
each way. Types stand in families (young star, active galaxy…), and families in branches (star, galaxy, interstellar
matter…), as in SIMBAD's own tree (https://simbad.cds.unistra.fr/guide/otypes.htx); a candidate stands with what it may be. A type that
SIMBAD has added since keeps its name and has no family.
"""

from __future__ import annotations

from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from fink.catalogs.simbad_types import spellings
from fink.columns import Column
from fink.science import Columns, science_module

_CLASS = "src.class"


@science_module(
    version="1.0",
    outputs=(
        Column("simbad_code", pa.string(), "", _CLASS, "Code of SIMBAD's main type, as Y*? for a candidate young stellar object"),
        Column("simbad_name_of_type", pa.string(), "", _CLASS, "Present name of SIMBAD's main type, as YSO_Candidate"),
        Column("simbad_former_type", pa.string(), "", _CLASS, "Name of SIMBAD's main type before 2022, as Candidate_YSO"),
        Column("simbad_family", pa.string(), "", _CLASS, "Family of that type in SIMBAD's tree, as young star"),
        Column("simbad_branch", pa.string(), "", _CLASS, "Branch of the tree that the family is part of, as star"),
        Column("simbad_is_candidate", pa.bool_(), "", "meta.code;src.class", "Whether SIMBAD calls the object a candidate of its type"),
    ),
    reference="https://simbad.cds.unistra.fr/guide/otypes.htx",
)
def simbad_class(simbad_type: pa.Array) -> Columns:
    """Translate the types; (n,) each, null where SIMBAD knows nothing."""
    known, translations = _translations()
    row = pc.index_in(simbad_type, known)
    found = {name: values.take(row) for name, values in translations.items()}
    kept = ("simbad_code", "simbad_name_of_type", "simbad_former_type")
    return found | {name: pc.coalesce(found[name], simbad_type) for name in kept}


@cache
def _translations() -> tuple[pa.Array, dict[str, pa.Array]]:
    """Give every spelling, and what each column says of it."""
    types = list(spellings().values())
    columns = {
        "simbad_code": [one.code for one in types],
        "simbad_name_of_type": [one.name for one in types],
        "simbad_former_type": [one.former_name for one in types],
        "simbad_family": [one.family for one in types],
        "simbad_branch": [one.branch for one in types],
        "simbad_is_candidate": [one.candidate for one in types],
    }
    return pa.array(list(spellings()), pa.string()), {name: pa.array(values) for name, values in columns.items()}
