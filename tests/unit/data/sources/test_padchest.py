"""PadChest from its table, with its quirks: Python lists, floats for years, rib views, gzip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from radalign.data.importing import import_source
from radalign.data.sources.source import SourceError

Image = Callable[..., str]
Table = Callable[..., Path]
HEADER = (
    ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,ViewPosition_DICOM,"
    "Projection,MethodProjection,Pediatric,Modality_DICOM,Manufacturer_DICOM,PhotometricInterpretation_DICOM,"
    "PixelRepresentation_DICOM,PixelAspectRatio_DICOM,SpatialResolution_DICOM,BitsStored_DICOM,"
    "WindowCenter_DICOM,WindowWidth_DICOM,Rows_DICOM,Columns_DICOM,XRayTubeCurrent_DICOM,Exposure_DICOM,"
    "ExposureInuAs_DICOM,ExposureTime,RelativeXRayExposure_DICOM,ReportID,Report,MethodLabel,Labels,"
    "Localizations,LabelsLocalizationsBySentence,labelCUIS,LocalizationsCUIS"
)


def row(
    name: str, date: str, study: str, projection: str, labels: str, photometric: str = "MONOCHROME2"
) -> str:
    return (
        f"0,{name}.png,0,{date},{study},P1,1930.0,F,POSTEROANTERIOR,{projection},Manual review,No,CR,"
        f"PhilipsMedicalSystems,{photometric},0,,0.175,12,2048,4095,2000,1500,,,,,1416.0,4765777,"
        f'cardiomegali derram pleural . ,Physician,"{labels}","[\'loc pleural\']","[]",[\'C0000001\'],[]'
    )


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_studies_labels_dates_and_views(image: Image, table: Table, tmp_path: Path, suffix: str) -> None:
    both = "['cardiomegaly', ' pleural effusion', '']"
    table(
        [
            HEADER,
            row("1_a", "20140915", "S1", "PA", both),
            row("1_b", "20140915", "S1", "L", both),
            row("1_c", "20140915", "S1", "COSTAL", both),
            row("2_a", "20130101.0", "S0", "AP_horizontal", "['normal']", "MONOCHROME1"),
            row("3_a", "soon", "S2", "EXCLUDE", "['exclude']"),
        ],
        f"PADCHEST_chest_x_ray_images_labels_160K_01.02.19.{suffix}",
    )
    for name in ("0/1_a", "0/1_b", "0/1_c", "54/2_a", "54/3_a"):
        image(f"{name}.png")
    manifest, flow = import_source("padchest", tmp_path)
    study = manifest["S1"]
    assert [(v.path, v.position, v.original_width_px) for v in study.views] == [
        ("0/1_a.png", "PA", 1500),
        ("0/1_b.png", "LATERAL", 1500),
    ]
    assert study.labels == {"cardiomegaly": 1, "pleural effusion": 1, "normal": 0}
    assert (study.date, study.age_years, study.sex) == ("2014-09-15", 84, "F")
    assert study.prior_study_id == "S0"
    assert manifest["S0"].views[0].position == "AP"
    assert study.report.text == "cardiomegali derram pleural."
    assert flow.dropped["projection is COSTAL"].images == 1
    assert flow.dropped["projection is EXCLUDE"].images == 1
    assert flow.dropped["study has no usable image"].studies == 1
    assert "date cannot be read, kept without" not in flow.noted  # that image is left out for its projection
    assert flow.noted["DICOM original was MONOCHROME1: check the polarity"].images == 1


def test_without_its_table_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="PadChest's table"):
        import_source("padchest", tmp_path)


def test_a_birth_after_the_study_is_no_age(image: Image, table: Table, tmp_path: Path) -> None:
    late = row("1_a", "20140915", "S1", "PA", "['normal']").replace(",1930.0,", ",2015.0,")
    table([HEADER, late], "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv")
    image("0/1_a.png")
    manifest, _ = import_source("padchest", tmp_path)
    assert manifest["S1"].age_years is None
