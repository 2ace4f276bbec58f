"""Words that are also names, and words of institutions that name no institution.

A name that is also a word cannot be removed wherever it stands: a report would lose its "small" and "left".
So such a name is removed where it is written as a name is: with a capital letter. The audit says what this
leaves.
"""

from __future__ import annotations

# Words of reports, which also begin sentences: a capital says nothing at the start of one.
REPORT_WORDS = frozenset({
    "small", "large", "may", "will", "long", "short", "young", "old", "white", "black", "day", "page",
    "stone", "bone", "lung", "chest", "heart", "head", "hand", "foot", "back", "low", "high", "new",
    "best", "good", "case", "field", "fields", "right", "left", "mild", "wall", "more", "less", "major",
    "minor", "mark", "frank", "patient", "test", "view", "views", "study", "name", "unknown", "none",
    "thorax", "normal", "portable", "film", "light", "ray", "blunt", "fine", "strong", "sharp", "line",
    "lines",
    # German, French and Spanish ones
    "klein", "gross", "lang", "kurz", "weiss", "schwarz", "lunge", "herz", "links", "rechts", "alt",
    "jung", "neu", "gut", "petit", "grand", "blanc", "noir", "leger", "moyen", "gauche", "droit", "blanco",
    "grande", "medio", "cabeza", "izquierdo", "derecho", "delgado", "leve", "bueno", "mayor", "menor",
})  # fmt: skip

# Words that a report hardly ever writes with a capital, so that a capital makes them a name.
NAME_WORDS = frozenset({
    "abbott", "april", "art", "august", "autumn", "baker", "ball", "banks", "bell", "bishop", "brooks",
    "brown", "carter", "chan", "cook", "dawn", "east", "eve", "faith", "fisher", "gene", "grace", "grant",
    "gray", "green", "grey", "hall", "hill", "hope", "hunter", "joy", "june", "king", "lee", "love",
    "marsh", "mason", "miller", "moon", "moore", "north", "park", "pope", "potter", "price", "queen",
    "rice", "rivers", "rose", "south", "star", "summer", "sun", "taylor", "turner", "walker", "waters",
    "weaver", "west", "wood", "woods",
})  # fmt: skip

EVERYDAY = REPORT_WORDS | NAME_WORDS

# Words of an institution's name or address that stand elsewhere too: General Electric, ImageType PRIMARY.
PLACE_WORDS = frozenset({
    "hospital", "hospitals", "hospitalier", "hopital", "clinic", "clinics", "clinical", "clinica",
    "clinique", "klinik", "kliniken", "klinikum", "krankenhaus", "spital", "praxis", "practice", "general",
    "generale", "primary", "care", "health", "healthcare", "medical", "medicine", "medizin",
    "medizinische", "medico", "medecine", "center", "centre", "centro", "zentrum", "institute", "institut",
    "instituto", "university", "universitat", "universitats", "universitatsklinikum", "universidad",
    "universite", "universitario", "college", "school", "department", "dept", "abteilung", "service",
    "services", "servicio", "unit", "radiology", "radiologie", "radiologia", "imaging", "diagnostic",
    "diagnostics", "digital", "system", "systems", "group", "regional", "national", "international",
    "central", "city", "county", "state", "community", "memorial", "royal", "public", "private", "trust",
    "foundation", "associates", "emergency", "children", "childrens", "kinder", "pediatric", "women",
    "cardiology", "oncology", "surgery", "surgical", "intensive", "outpatient", "saint", "sankt", "street",
    "road", "avenue", "drive", "lane", "square", "house", "floor", "building", "tower", "strasse", "platz",
    "calle", "avenida", "plaza", "place", "thoracic", "pulmonary", "upper", "lower", "electric",
    "standard", "original", "derived", "secondary", "identity", "united", "states", "america",
    # makers of devices: their names say nothing of the place
    "agfa", "canon", "carestream", "fuji", "fujifilm", "hologic", "kodak", "konica", "minolta", "philips",
    "samsung", "shimadzu", "siemens", "toshiba",
})  # fmt: skip
