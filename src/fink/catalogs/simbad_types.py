"""SIMBAD's types of objects: where each stands, and under which names astronomers have met it.

A type has a code (``Y*O``), which LSST's users know, a present name (``YSO``), and a former one from before 2022 (``YSO``,
``Candidate_YSO``), which ZTF's users know. Candidates have codes of their own and bear the same names with a word added, which
stood before the former name and stands after the present one; in between both orders were about.
https://simbad.cds.unistra.fr/guide/otypes.htx
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

BRANCHES: Mapping[str, str] = {
    "star": "star",
    "massive star": "star",
    "young star": "star",
    "main-sequence star": "star",
    "evolved star": "star",
    "peculiar star": "star",
    "binary star": "star",
    "low-mass star": "star",
    "variable star": "star",
    "star cluster": "star cluster",
    "interstellar matter": "interstellar matter",
    "galaxy": "galaxy",
    "active galaxy": "galaxy",
    "galaxy group": "galaxy",
    "gravitation": "gravitation",
    "absorption system": "spectrum",
    "radiation": "radiation",
    "transient": "transient",
    "other": "other",
}
"""The branch that each family of types belongs to."""

# code, present name, former name, code of a candidate, former name of a candidate; - where there is none
_TYPES = """
star
* Star Star - -
PM* HighPM* PM* - -
HV* HighVel* HV* - -
Em* EmLine* Em* - -
*iC *inCl *inCl - -
*iN *inNeb *inNeb - -
*iA *inAssoc *inAssoc - -
*i* *in** *in** - -

massive star
Ma* Massive* Massive* Ma? -
bC* bCepV* PulsV*bCep bC? -
sg* Supergiant SG* sg? Candidate_SG*
s*r RedSG RedSG* s?r Candidate_RSG*
s*y YellowSG YellowSG* s?y Candidate_YSG*
s*b BlueSG BlueSG* s?b Candidate_BSG*
WR* WolfRayet* WR* WR? Candidate_WR*
N* Neutron* Neutron* N*? Candidate_NS
Psr Pulsar Pulsar - -

young star
Y*O YSO YSO Y*? Candidate_YSO
Or* OrionV* Orion_V* - -
TT* TTauri* TTau* TT? Candidate_TTau*
Ae* Ae* Ae* Ae? Candidate_Ae*
out Outflow Outflow of? outflow?
HH HerbigHaroObj HH - -
pr* PreMainSequence* pMS* pr? Candidate_pMS*
FU* FUOr FUOr - -
RI* RapidIrregV* Rapid_Irreg_V* - -

main-sequence star
MS* MainSequence* MainSequence* MS? -
Be* Be* Be* Be? Candidate_Be*
BS* BlueStraggler BlueStraggler BS? Candidate_BSS
SX* SXPheV* pulsV*SX - -
gD* gammaDorV* gammaDor - -
dS* delSctV* PulsV*delSct - -

evolved star
Ev* Evolved* Evolved* Ev? -
RG* RGB* RGB* RB? Candidate_RGB*
HS* HotSubdwarf HotSubdwarf HS? Candidate_Hsd
HB* HorBranch* HB* HB? Candidate_HB*
RR* RRLyrae RRLyr RR? Candidate_RRLyr
WV* Type2Cep PulsV*WVir WV? -
Ce* Cepheid Cepheid Ce? Candidate_Cepheid
cC* ClassicalCep deltaCep - -
C* C* C* C*? Candidate_C*
S* S* S* S*? Candidate_S*
LP* LongPeriodV* LPV* LP? Candidate_LP*
sr* SemiRegV* semi-regV* sr? Candiate_sr*
AB* AGB* AGB* AB? Candidate_AGB*
Mi* Mira Mira Mi? Candidate_Mi*
OH* OH/IR* OH/IR OH? Candidate_OH
pA* post-AGB* post-AGB* pA? Candidate_post-AGB*
RV* RVTauV* PulsV*RVTau RV? -
PN PlanetaryNeb PN PN? PN?
WD* WhiteDwarf WD* WD? Candidate_WD*
ZZ* PulsWD* pulsWD* - -

peculiar star
Pe* ChemPec* Pec* Pe? Candidate_Pec*
a2* alf2CVnV* RotV*alf2CVn a2? -
RC* RCrBV* Erupt*RCrB RC? RCrB_Candidate
CH* CH* CH CH? Candidate_CH

binary star
** ** ** **? Candidate_**
El* EllipVar EllipVar El? -
EB* EclBin EB* EB? Candidate_EB*
Al* EclBinAlgol EB*Algol - -
bL* EclBinBetLyr EB*betLyr - -
WU* EclBinWUMa EB*WUMa - -
EP* EclBinPlanet EB*Planet - -
SB* SB* SB* SB? -
RS* RSCVnV* RSCVn RS? -
BY* BYDraV* BYDra BY? -
Sy* Symbiotic* Symbiotic* Sy? Candidate_Symb*
XB* XrayBin XB XB? Candidate_XB*
LXB LowMassXBin LMXB LX? Candidate_LMXB
HXB HighMassXBin HMXB HX? Candidate_HMXB
CV* CataclyV* CataclyV* CV? Candidate_CV*
DQ* DQHer DQHer - -
AM* AMHer AMHer - -
NL* Nova-like Nova-like - -
No* Nova Nova No? Candidate_Nova
DN* DwarfNova DwarfNova - -

low-mass star
LM* Low-Mass* low-mass* LM? Candidate_low-mass*
BD* BrownD* brownD* BD? Candidate_brownD*
su* Sub-stellar Sub-stellar - -
Pl Planet Planet Pl? Planet?

variable star
V* Variable* V* V*? V*?
Ir* IrregularV* Irregular_V* - -
Er* Eruptive* Eruptive* Er? -
Fl* Flare* Flare* - -
Ro* RotV* RotV* Ro? -
Pu* PulsV* PulsV* Pu? -

star cluster
Cl* Cluster* Cl* Cl? Cl*?
GlC GlobCluster GlCl Gl? GlCl?
OpC OpenCluster OpCl - -
As* Association Assoc* As? Possible_As*
St* Stream Stream* - -
MGr MouvGroup MouvGroup - -

interstellar matter
ISM ISM ISM - -
SFR StarFormingReg SFregion - -
HII HIIReg HII - -
Cld Cloud Cloud - -
GNe GalNeb GalNeb - -
BNe BrNeb BrNeb - -
RNe RefNeb RfNeb - -
MoC MolCld MolCld - -
DNe DarkNeb DkNeb - -
glb Globule Globule - -
CGb ComGlob ComGlob - -
cor denseCore denseCore - -
bub Bubble Bubble - -
SNR SNRemnant SNR SR? SNR?
sh HIshell HIshell - -
flt Filament Filament - -
HVC HVCloud HVCld - -
cir Circumstellar Circumstellar - -
PoC PartofCloud PartofCloud - -
EmO EmObj EmObj - -

galaxy
G Galaxy Galaxy G? Possible_G
PoG PartofG PartofG - -
LSB LowSurfBrghtG LSB_G - -
bCG BlueCompactG BlueCompG - -
SBG StarburstG StarburstG - -
H2G HIIG HII_G - -
EmG EmissionG EmG - -
HzG High_z_G High_z_G - -
GiP GtowardsPair GinPair - -
GiG GtowardsGroup GinGroup - -
GiC GtowardsCl GinCl - -
BiC BrightestCG BClG - -

active galaxy
AGN AGN AGN AG? AGN_Candidate
SyG Seyfert Seyfert - -
Sy1 Seyfert1 Seyfert_1 - -
Sy2 Seyfert2 Seyfert_2 - -
rG RadioG RadioG - -
LIN LINER LINER - -
QSO QSO QSO Q? QSO_Candidate
Bla Blazar Blazar Bz? Blazar_Candidate
BLL BLLac BLLac BL? BLLac_Candidate
OVV OVV OVV - -

galaxy group
IG InteractingG IG - -
PaG PairG PairG - -
GrG GroupG GroupG Gr? Possible_GrG
CGG Compact_Gr_G Compact_Gr_G - -
ClG ClG ClG C?G Possible_ClG
PCG protoClG protoClG PCG? -
SCG SuperClG SuperClG SC? Possible_SClG
vid Void Void - -

gravitation
grv Gravitation Gravitation - -
Lev LensingEv LensingEv - -
gLS GravLensSystem GravLensSystem LS? Candidate_LensSystem
gLe GravLens GravLens Le? Candidate_Lens
LeI LensedImage LensedImage LI? Possible_lensImage
LeG LensedG LensedG - -
LeQ LensedQ LensedQ - -
BH BlackHole BlackHole BH? Candidate_BH
GWE GravWaveEvent GravWaveEvent - -

absorption system
ALS AbsLineSystem AbsLineSystem - -
LyA Ly-alpha_ALS Ly-alpha_ALS - -
DLA DLy-alpha_ALS DLy-alpha_ALS - -
mAL metal_ALS metal_ALS - -
LLS Ly-limit_ALS Ly-limit_ALS - -
BAL Broad_ALS Broad_ALS - -

radiation
Rad Radio Radio - -
mR Radio(m) Radio(m) - -
cm Radio(cm) Radio(cm) - -
mm Radio(mm) Radio(mm) - -
smm Radio(sub-mm) Radio(sub-mm) - -
HI HI HI - -
Mas Maser Maser - -
IR Infrared IR - -
FIR FarIR IR>30um - -
MIR MidIR IR<10um - -
NIR NearIR NIR - -
red Red Red - -
ERO RedExtreme RedExtreme - -
blu Blue Blue - -
UV UV UV - -
Opt Optical Optical - -
X X X - -
ULX ULX ULX UX? ULX?
gam gamma gamma - -

transient
ev Transient Transient - -
SN* Supernova SN SN? Candidate_SN*
rB radioBurst radioBurst - -
gB gammaBurst gammaBurst - -

other
? Unknown Unknown - -
err Inexistent Inexistent - -
mul Blend multiple_object - -
reg Region Region - -
Candidates Candidates Candidates - -
"""

_OTHER_SPELLINGS = {
    "Rad": ("rad",),
    "Psr": ("PSR",),
    "Ma*": ("Massiv*", "MassiveStar"),
    "RC*": ("RCrB",),
    "RG*": ("RB*",),
    "s?r": ("RSG*_Candidate",),
    "gLS": ("LensSystem",),
    "gLe": ("Lens",),
    "LS?": ("Candidate_LensSyste", "LensSystem_Candidate", "GravLensSystem_Candidate"),
    "Le?": ("Lens_Candidate", "GravLens_Candidate"),
    "vid": ("Underdensity",),
    "err": ("NotObject",),
    "SN?": ("SN*_Candidate",),
    "sr?": ("Candidate_sr*",),
    "sh": ("InterstellarShell",),
    "flt": ("InterstellarFilament", "filament"),
    "MGr": ("MovingGroup",),
    "gam": ("Gamma",),
    "NIR": ("NearInfrared",),
    "MIR": ("MidInfrared",),
    "FIR": ("FarInfrared",),
}


@dataclass(frozen=True)
class SimbadType:
    """A type of objects in SIMBAD.

    Parameters
    ----------
    code
        As in present tables: ``Y*?``.
    name, former_name
        Since 2022 and before: ``YSO_Candidate``, ``Candidate_YSO``.
    family
        The chapter of the hierarchy that it stands in: ``young star``.
    candidate
        Whether it may be one, rather than being one.
    """

    code: str
    name: str
    former_name: str
    family: str
    candidate: bool

    @property
    def branch(self) -> str:
        """The part of the hierarchy that its family stands in: ``star``."""
        return BRANCHES[self.family]


def types() -> Iterator[SimbadType]:
    """Give every type, each followed by its candidates."""
    for chapter in _TYPES.strip().split("\n\n"):
        family, *lines = chapter.splitlines()
        for line in lines:
            code, name, former, candidate, former_candidate = line.split()
            yield SimbadType(code, name, former, family, False)
            if candidate != "-":
                former_candidate = f"{former}_Candidate" if former_candidate == "-" else former_candidate
                yield SimbadType(candidate, f"{name}_Candidate", former_candidate, family, True)


@cache
def spellings() -> Mapping[str, SimbadType]:
    """Give the type behind every name that it has had; a code goes before a name that it equals."""
    found: dict[str, SimbadType] = {}
    every = list(types())
    for one in every:
        found.setdefault(one.code, one)
    for one in every:
        for name in (one.name, one.former_name, *_OTHER_SPELLINGS.get(one.code, ())):
            found.setdefault(name, one)
    firm = {one.name: one for one in every if not one.candidate}
    for one in (one for one in every if one.candidate):
        plain = firm[one.name.removesuffix("_Candidate")]
        stem = one.former_name.removeprefix("Candidate_").removesuffix("_Candidate")
        for name in (plain.name, plain.former_name, stem):
            for spelled in (f"Candidate_{name}", f"{name}_Candidate"):
                found.setdefault(spelled, one)
    return found
