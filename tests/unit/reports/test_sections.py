"""Sections: every distributor's shape of a report, written here by hand."""

import pytest

from radalign.reports.sections import flow, parse_report, split_sections
from radalign.study import Report

MIMIC = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___ year old man with cough  // rule out pneumonia

 TECHNIQUE:  Chest PA and lateral

 COMPARISON:  ___

 FINDINGS:

 The lungs are hyperinflated. No focal consolidation
 is seen.

 IMPRESSION:

 1.  No pneumonia.
 2.  Hyperinflation, discussed with Dr. ___ at 3:40 p.m. on ___.
"""

MIMIC_UNHEADED = """                                 FINAL REPORT
 PA AND LATERAL CHEST, ___

 HISTORY:  ___-year-old woman with fever.

 COMPARISON:  Radiograph of ___.

 Two views were obtained.  A small left effusion persists.

 IMPRESSION:  Small left effusion.
"""

CHEXPERT_PLUS = """NARRATIVE:
RADIOGRAPHIC EXAMINATION OF THE CHEST: 1/2/2003

CLINICAL HISTORY: 50 years of age, Female, line placement.

COMPARISON: 1/1/2003

PROCEDURE COMMENTS: Single view of the chest.

IMPRESSION:

1.  RIGHT IJ CATHETER WITH TIP IN THE SVC.

2.  NO PNEUMOTHORAX.

END OF IMPRESSION:

SUMMARY:2-ABNORMAL, PREVIOUSLY REPORTED

ACCESSION NUMBER:
This report has been anonymized.
"""

OPENI = (
    "Comparison: None. Indication: XXXX-year-old, chest pain. Findings: Heart normal. "
    "Impression: No XXXX disease."
)


def test_a_mimic_report_gives_its_four_sections() -> None:
    assert parse_report(MIMIC) == Report(
        findings="The lungs are hyperinflated. No focal consolidation is seen.",
        impression="No pneumonia. Hyperinflation, discussed with Dr. ___ at 3:40 p.m. on ___.",
        indication="___ year old man with cough // rule out pneumonia",
        comparison="___",
    )


def test_prose_that_lost_its_heading_becomes_the_findings() -> None:
    report = parse_report(MIMIC_UNHEADED)
    assert report.findings == "Two views were obtained. A small left effusion persists."
    assert report.comparison == "Radiograph of ___."
    assert report.impression == "Small left effusion."


def test_chexpert_plus_stops_at_the_end_of_the_impression() -> None:
    report = parse_report(CHEXPERT_PLUS)
    assert report.impression == "RIGHT IJ CATHETER WITH TIP IN THE SVC. NO PNEUMOTHORAX."
    assert report.findings == ""
    assert report.comparison == "1/1/2003"


def test_open_i_headings_may_stand_within_a_line() -> None:
    report = parse_report(OPENI)
    assert (report.findings, report.impression) == ("Heart normal.", "No XXXX disease.")
    assert (report.comparison, report.indication) == ("None.", "XXXX-year-old, chest pain.")


def test_padchest_and_other_free_text_stay_whole() -> None:
    report = parse_report("derrame pleural izquierdo . sin cambios . ")
    assert report == Report(text="derrame pleural izquierdo. sin cambios.")
    assert report.body == "derrame pleural izquierdo. sin cambios."


@pytest.mark.parametrize(
    ("text", "findings", "impression"),
    [
        ("findings: clear.\nimpression: normal.", "clear.", "normal."),
        ("Findings\nClear.\n\nImpression\nNormal.", "Clear.", "Normal."),
        ("**FINDINGS**: Clear.\n**IMPRESSION:** Normal.", "Clear.", "Normal."),
        ("FINDINGS AND IMPRESSION: Clear lungs.", "Clear lungs.", ""),
        ("FINDINGS/IMPRESSION:\nClear lungs.", "Clear lungs.", ""),
        ("CONCLUSION: Normal.", "", "Normal."),
        ("no heading here, see comparison: none", "", ""),
        ("PORTABLE CHEST, 3:20 PM: The lungs are clear.", "The lungs are clear.", ""),
        ("COMPARISON: none FINDINGS: Clear.", "Clear.", ""),
        (
            "FINDINGS: LUNGS: Clear.\nHEART: Normal.\nIMPRESSION: Normal.",
            "LUNGS: Clear. HEART: Normal.",
            "Normal.",
        ),
    ],
)
def test_headings_of_many_shapes(text: str, findings: str, impression: str) -> None:
    report = parse_report(text)
    assert (report.findings, report.impression) == (findings, impression)


def test_a_repeated_heading_joins_and_a_repeated_text_counts_once() -> None:
    text = "FINDINGS: Clear.\nIMPRESSION: Normal.\nFINDINGS: Bones intact.\nIMPRESSION: Normal."
    assert parse_report(text) == Report(findings="Clear. Bones intact.", impression="Normal.")


def test_an_addendum_follows_the_impression_or_is_dropped() -> None:
    text = "FINDINGS: Clear.\n\nIMPRESSION: Normal.\n\nADDENDUM: There is a 4 mm nodule."
    assert parse_report(text).impression == "Normal. There is a 4 mm nodule."
    assert parse_report(text, addenda="drop").impression == "Normal."
    with pytest.raises(ValueError, match="use 'append' or 'drop'"):
        parse_report(text, addenda="keep")


def test_notifications_recommendations_and_wet_reads_are_no_findings() -> None:
    text = "WET READ: edema?\nFINDINGS: Clear.\nRECOMMENDATION(S): CT.\n"
    text += "NOTIFICATION: Called.\nIMPRESSION: Normal."
    assert parse_report(text).body == "Clear. Normal."


def test_the_whole_text_is_kept_on_request() -> None:
    assert parse_report(OPENI, keep_text=True).text == OPENI
    assert parse_report(OPENI).text == ""


def test_an_empty_report_is_empty() -> None:
    assert parse_report("  \n ") == Report()
    assert split_sections("") == ()


def test_sections_lose_no_character_of_their_bodies() -> None:
    for text in (MIMIC, MIMIC_UNHEADED, CHEXPERT_PLUS, OPENI):
        rest = text
        for section in split_sections(text):
            assert section.text in rest
            rest = rest[rest.index(section.text) + len(section.text) :]


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("INDICATION: Cough.\n\nCHEST, 2 VIEWS: Lungs clear. Left effusion.\n\nIMPRESSION: Effusion.",
         "Lungs clear. Left effusion."),
        ("HISTORY: fever.\n\nCHEST, TWO VIEWS: Lungs clear.\n\nABDOMEN, TWO VIEWS: No free air.\n\nIMPRESSION: ok.",
         "Lungs clear. No free air."),
        ("CHEST, SINGLE AP VIEW:\n\nLungs clear. Effusion.\n\nHeart is enlarged.",
         "Lungs clear. Effusion. Heart is enlarged."),
        ("PA AND LATERAL VIEWS: The lungs are clear.", "The lungs are clear."),
        ("2 VIEWS: The lungs are clear.", "The lungs are clear."),
        ("FINDINGS: FRONTAL VIEW: Clear.\nLATERAL VIEW: Small effusion.",
         "FRONTAL VIEW: Clear. LATERAL VIEW: Small effusion."),
        ("FINDINGS: Clear.\nLIMITED STUDY: turned.\nET TUBE LOCATION: 4 cm up.\nCHANGE FROM PRIOR STUDY: worse.",
         "Clear. LIMITED STUDY: turned. ET TUBE LOCATION: 4 cm up. CHANGE FROM PRIOR STUDY: worse."),
        ("FINDINGS: Clear.\n\nIMPRESSION: Normal.\n\nCHEST, TWO VIEWS: New effusion.", "Clear. New effusion."),
        ("FINDINGS: Clear.\nIMPRESSION: ok.\nEXAMINATION OF THE CHEST: 1/3/2003 3:00 PM", "Clear."),
        ("COMPARISON: NONE FINDINGS: CLEAR IMPRESSION: NORMAL", "CLEAR"),
    ],
)  # fmt: skip
def test_a_title_in_capitals_takes_no_prose_away(text: str, findings: str) -> None:
    assert parse_report(text).findings == findings


def test_a_final_diagnosis_is_an_impression() -> None:
    assert parse_report("FINDINGS: Clear.\nFINAL DIAGNOSIS: Normal.") == Report(
        findings="Clear.", impression="Normal."
    )
    assert parse_report("ADMITTING DIAGNOSIS: Fever.\nFINDINGS: Clear.").indication == "Fever."


@pytest.mark.parametrize(
    "text",
    [
        "indication: cough . findings: clear. impression: normal.",
        "FINDINGS - clear.\nIMPRESSION - normal.",
        "FINDINGS – clear. IMPRESSION – normal.",
        "FINDINGS: clear.IMPRESSION: normal.",
        "FINDINGS：clear.\nIMPRESSION：normal.",
        "HALLAZGOS: clear.\nCONCLUSIÓN: normal.",
        "Hallazgos: clear.\nImpresión: normal.",
    ],
)
def test_headings_without_capitals_colons_or_spaces(text: str) -> None:
    report = parse_report(text)
    assert (report.findings, report.impression) == ("clear.", "normal.")


@pytest.mark.parametrize(
    "signature",
    [
        "\nElectronically signed by Dr. A. Smith on 1/2/2003",
        " Electronically signed by: Dr. A. Smith",
        "\nDictated by John Smith, MD",
        "\nDICTATED BY: JOHN SMITH",
        "\nAttending physician: John Smith",
        "\nInterpreted by: John Smith",
        "\nI, the attending physician, have personally reviewed the images.",
    ],
)
def test_a_signature_ends_the_report(signature: str) -> None:
    assert parse_report(f"IMPRESSION: Normal.{signature}").impression == "Normal."


def test_a_sentence_that_names_a_reader_is_no_signature() -> None:
    text = "FINDINGS: The CT was\nreviewed by Dr. ___ too. Line placed by Dr. ___. Clear."
    assert parse_report(text).findings.endswith("Clear.")


@pytest.mark.parametrize(
    "addendum",
    [
        "ADDENDUM BY DR. SMITH ON 1/2/2003: Nodule.",
        "ADDENDUM #1 AT 10:30 AM: Nodule.",
        "***ADDENDUM START***\nNodule.\n***ADDENDUM END***",
        "ADDENDUM:\nNodule.\n______________________________\n",
    ],
)
def test_an_addendum_leaves_no_title_and_no_rule_behind(addendum: str) -> None:
    text = f"IMPRESSION: Normal.\n{addendum}"
    assert parse_report(text).impression == "Normal. Nodule."
    assert parse_report(text, addenda="drop").impression == "Normal."


@pytest.mark.parametrize("mark", ["{}.", "{}) ", "({}) ", "{}- ", "{} - ", "{}: ", "#{} ", "#{}. "])
def test_list_marks_of_many_shapes_go(mark: str) -> None:
    lines = "\n".join(mark.format(i) + said for i, said in ((1, "No effusion"), (2, "Nodule of 1.5 cm")))
    assert parse_report(f"IMPRESSION:\n{lines}").impression == "No effusion. Nodule of 1.5 cm."
    assert parse_report(f"IMPRESSION:\n{lines}".replace("\n2", ". 2")).impression == (
        "No effusion. Nodule of 1.5 cm."
    )


def test_lettered_lists_need_two_letters() -> None:
    assert flow("a. Effusion\nb. Nodule") == "Effusion. Nodule."
    assert flow("1.5 cm nodule\n2.5 cm mass") == "1.5 cm nodule 2.5 cm mass"


def test_bullets_become_sentences() -> None:
    assert flow("- Small effusion\n- No pneumothorax\n") == "Small effusion. No pneumothorax."


@pytest.mark.parametrize(
    ("text", "findings", "impression"),
    [
        ("EXAM: CHEST, 2 VIEWS: The lungs are clear.", "The lungs are clear.", ""),
        ("EXAM: CHEST, 2 VIEWS: LUNGS CLEAR.\nIMPRESSION: NORMAL.", "LUNGS CLEAR.", "NORMAL."),
        ("EXAM: CHEST, 2 VIEWS: 01/02/2020\nFINDINGS: Clear.", "Clear.", ""),
        ("EXAM: CHEST: PA AND LATERAL\nFINDINGS: Clear.", "Clear.", ""),
    ],
)
def test_prose_behind_an_examinations_title_on_its_line(text: str, findings: str, impression: str) -> None:
    report = parse_report(text)
    assert (report.findings, report.impression) == (findings, impression)


@pytest.mark.parametrize(
    "date", ["01/02/2020", "on 2020-02-01", "dated 1.2.2020 10:15 AM", "___", "[**2020-1-2**]"]
)
@pytest.mark.parametrize("between", [" ", "\n"])
def test_a_dated_addendum_needs_no_colon(date: str, between: str) -> None:
    text = f"IMPRESSION: Normal.\nADDENDUM {date}{between}There is a nodule."
    assert parse_report(text).impression == "Normal. There is a nodule."
    assert parse_report(text, addenda="drop").impression == "Normal."


def test_an_addendum_in_a_sentence_is_none() -> None:
    assert split_sections("Please see the addendum 01/02/2020 for details.")[0].name == "preamble"
