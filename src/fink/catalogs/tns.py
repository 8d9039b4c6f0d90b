"""Transient Name Server: transients that somebody has reported to the IAU, with their type and redshift where they are known.

Gal-Yam 2021, https://www.wis-tns.org. The whole list is staged once a day as a CSV file; fetching it needs a bot's
number, name and key, in the environment variables FINK_TNS_ID, FINK_TNS_NAME and FINK_TNS_KEY. All objects are matched,
classified or not: the type of one that is not is null. Alerts are matched within 1.5 arcsec.
"""

from __future__ import annotations

import pyarrow as pa

from fink.catalogs.declaration import Catalogue, Download, Field

tns = Catalogue(
    fields=(
        Field("name", ("fullname", "name_prefix || ' ' || name"), pa.string(), "", "meta.id", "IAU name of the transient, with its prefix"),
        Field("type", "type", pa.string(), "", "src.class", "Spectral type; null where the transient is not classified"),
        Field("redshift", "redshift", pa.float32(), "", "src.redshift", "Redshift of the transient or of its host"),
        Field("discovered", ("discoverydate",), pa.string(), "", "time.start", "Time of discovery, UTC", False),
        Field("internal_names", ("internal_names",), pa.string(), "", "meta.id", "Names that surveys gave it", False),
    ),
    radius=1.5,
    citation="https://www.wis-tns.org",
    licence="free use with acknowledgement of the Transient Name Server",
    download=Download(
        "https://www.wis-tns.org/system/files/tns_public_objects/tns_public_objects.csv.zip",
        ".csv.zip",
        headers={"User-Agent": 'tns_marker{"tns_id":{TNS_ID},"type":"bot","name":"{TNS_NAME}"}'},
        form={"api_key": "{TNS_KEY}"},
    ),
    dec=("declination", "dec"),
)
