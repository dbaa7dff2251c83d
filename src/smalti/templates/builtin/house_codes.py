"""Words for the codes of Kaggle's house prices, as its data description spells them out.

Source: data_description.txt of https://www.kaggle.com/competitions/house-prices-advanced-regression-techniques, after
De Cock, "Ames, Iowa: Alternative to the Boston Housing Data", Journal of Statistics Education 19(3), 2011.
"""

from __future__ import annotations

from calendar import month_name

# A missing value and the text NA mean the same: readers of CSV make the one of the other.
NONE = {"NA": "none", "None": "none"}

QUALITY = {**NONE, "Ex": "excellent", "Gd": "good", "TA": "typical", "Fa": "fair", "Po": "poor"}
YES_NO = {"Y": "yes", "N": "no", "P": "partly"}
DWELLING = {
    "20": "one storey 1946 or newer",
    "30": "one storey 1945 or older",
    "40": "one storey with finished attic",
    "45": "one and a half storeys unfinished",
    "50": "one and a half storeys finished",
    "60": "two storeys 1946 or newer",
    "70": "two storeys 1945 or older",
    "75": "two and a half storeys",
    "80": "split level",
    "85": "split foyer",
    "90": "duplex",
    "120": "one storey in planned development",
    "150": "one and a half storeys in planned development",
    "160": "two storeys in planned development",
    "180": "split level in planned development",
    "190": "two family conversion",
}
ZONING = {
    "A": "agriculture",
    "C": "commercial",
    "C (all)": "commercial",
    "FV": "floating village",
    "I": "industrial",
    "RH": "high density",
    "RL": "low density",
    "RP": "low density park",
    "RM": "medium density",
}
PAVING = {**NONE, "Grvl": "gravel", "Pave": "paved"}
LOT_SHAPE = {
    "Reg": "regular",
    "IR1": "slightly irregular",
    "IR2": "moderately irregular",
    "IR3": "irregular",
}
LAND_CONTOUR = {"Lvl": "level", "Bnk": "banked", "HLS": "hillside", "Low": "depression"}
UTILITIES = {
    "AllPub": "all",
    "NoSewr": "no sewer",
    "NoSeWa": "no sewer or water",
    "ELO": "electricity only",
}
LOT_CONFIGURATION = {
    "CulDSac": "cul de sac",
    "FR2": "frontage on two sides",
    "FR3": "frontage on three sides",
    "Inside": "inside",
    "Corner": "corner",
}
SLOPE = {"Gtl": "gentle", "Mod": "moderate", "Sev": "severe"}
NEIGHBOURHOOD = {
    "Blmngtn": "Bloomington Heights",
    "Blueste": "Bluestem",
    "BrDale": "Briardale",
    "BrkSide": "Brookside",
    "ClearCr": "Clear Creek",
    "CollgCr": "College Creek",
    "Crawfor": "Crawford",
    "IDOTRR": "Iowa DOT and Rail Road",
    "MeadowV": "Meadow Village",
    "NAmes": "North Ames",
    "Names": "North Ames",
    "NoRidge": "Northridge",
    "NPkVill": "Northpark Villa",
    "NridgHt": "Northridge Heights",
    "NWAmes": "Northwest Ames",
    "OldTown": "Old Town",
    "SWISU": "South and West of Iowa State University",
    "SawyerW": "Sawyer West",
    "StoneBr": "Stone Brook",
    "Somerst": "Somerset",
    "Timber": "Timberland",
    "Veenker": "Veenker",
}
NEAR = {
    "Artery": "arterial street",
    "Feedr": "feeder street",
    "Norm": "normal",
    "RRNn": "near north south railroad",
    "RRAn": "beside north south railroad",
    "PosN": "near park or greenbelt",
    "PosA": "beside park or greenbelt",
    "RRNe": "near east west railroad",
    "RRAe": "beside east west railroad",
}
BUILDING = {
    "1Fam": "single family",
    "2FmCon": "two family conversion",
    "2fmCon": "two family conversion",
    "Duplx": "duplex",
    "Duplex": "duplex",
    "TwnhsE": "town house at the end",
    "TwnhsI": "town house inside",
    "Twnhs": "town house inside",
}
HOUSE_STYLE = {
    "1Story": "one storey",
    "1.5Fin": "one and a half storeys finished",
    "1.5Unf": "one and a half storeys unfinished",
    "2Story": "two storeys",
    "2.5Fin": "two and a half storeys finished",
    "2.5Unf": "two and a half storeys unfinished",
    "SFoyer": "split foyer",
    "SLvl": "split level",
}
ROOF_MATERIAL = {
    "ClyTile": "clay tile",
    "CompShg": "composite shingle",
    "Membran": "membrane",
    "Metal": "metal",
    "Roll": "roll",
    "Tar&Grv": "gravel and tar",
    "WdShake": "wood shakes",
    "WdShngl": "wood shingles",
}
COVERING = {
    "AsbShng": "asbestos shingles",
    "AsphShn": "asphalt shingles",
    "BrkComm": "common brick",
    "Brk Cmn": "common brick",
    "BrkFace": "face brick",
    "CBlock": "cinder block",
    "CemntBd": "cement board",
    "CmentBd": "cement board",
    "HdBoard": "hard board",
    "ImStucc": "imitation stucco",
    "MetalSd": "metal",
    "PreCast": "precast",
    "VinylSd": "vinyl",
    "Wd Sdng": "wood",
    "WdShing": "wood shingles",
    "Wd Shng": "wood shingles",
}
MASONRY = {**NONE, "BrkCmn": "common brick", "BrkFace": "face brick", "CBlock": "cinder block", "Stone": "stone"}
FOUNDATION = {
    "BrkTil": "brick and tile",
    "CBlock": "cinder block",
    "PConc": "poured concrete",
    "Slab": "slab",
    "Stone": "stone",
    "Wood": "wood",
}
EXPOSURE = {**NONE, "Gd": "good", "Av": "average", "Mn": "minimum", "No": "no"}
BASEMENT_FINISH = {
    **NONE,
    "GLQ": "good living quarters",
    "ALQ": "average living quarters",
    "BLQ": "below average living quarters",
    "Rec": "average recreation room",
    "LwQ": "low quality",
    "Unf": "unfinished",
}
HEATING = {
    "Floor": "floor furnace",
    "GasA": "gas warm air",
    "GasW": "gas hot water",
    "Grav": "gravity furnace",
    "OthW": "hot water other than gas",
    "Wall": "wall furnace",
}
ELECTRICAL = {
    "SBrkr": "circuit breakers",
    "FuseA": "average fuse box",
    "FuseF": "fair fuse box",
    "FuseP": "poor fuse box",
    "Mix": "mixed",
}
FUNCTIONAL = {
    "Typ": "typical",
    "Min1": "minor deductions 1",
    "Min2": "minor deductions 2",
    "Mod": "moderate deductions",
    "Maj1": "major deductions 1",
    "Maj2": "major deductions 2",
    "Sev": "severely damaged",
    "Sal": "salvage only",
}
GARAGE = {
    **NONE,
    "2Types": "several types",
    "Attchd": "attached",
    "Basment": "basement",
    "BuiltIn": "built in",
    "CarPort": "car port",
    "Detchd": "detached",
}
GARAGE_FINISH = {**NONE, "Fin": "finished", "RFn": "rough finished", "Unf": "unfinished"}
FENCE = {
    **NONE,
    "GdPrv": "good privacy",
    "MnPrv": "minimum privacy",
    "GdWo": "good wood",
    "MnWw": "minimum wood or wire",
}
FEATURE = {
    **NONE,
    "Elev": "elevator",
    "Gar2": "second garage",
    "Othr": "other",
    "Shed": "shed",
    "TenC": "tennis court",
}
SALE = {
    "WD": "conventional warranty deed",
    "CWD": "cash warranty deed",
    "VWD": "VA loan warranty deed",
    "New": "new home",
    "COD": "court officer deed",
    "Con": "contract 15 percent down",
    "ConLw": "contract low down payment and interest",
    "ConLI": "contract low interest",
    "ConLD": "contract low down payment",
    "Oth": "other",
}
SALE_CONDITION = {
    "Normal": "normal",
    "Abnorml": "abnormal",
    "AdjLand": "adjoining land",
    "Alloca": "allocation",
    "Family": "family",
    "Partial": "partial",
}
MONTH = {str(number): name for number, name in enumerate(month_name) if number}
