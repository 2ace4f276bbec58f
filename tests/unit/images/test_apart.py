"""Decoders in a child process: the same pixels, the same complaints, and a death that ends nothing."""

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from radalign.images.apart import Apart, DecoderDiedError, _pixels_of
from radalign.images.codecs import decoded, decoders


@pytest.fixture
def image() -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.PatientName, ds.SOPClassUID, ds.SOPInstanceUID = "Doe^Jane", "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 5, 7, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.NumberOfFrames = 3
    ds.PixelData = np.arange(105, dtype=np.uint16).tobytes()
    ds.compress(RLELossless)
    return ds


def test_the_child_decodes_as_this_process_does(image: Dataset) -> None:
    names = decoders(RLELossless)
    with Apart() as apart:
        found = [apart.decode(image, names) for _ in range(2)]
        assert apart.is_running
    assert not apart.is_running
    expected = decoded(image, names)
    for pixels in found:
        assert pixels.dtype == expected.dtype
        np.testing.assert_array_equal(pixels, expected)


def test_a_complaint_comes_back_and_the_child_lives_on(image: Dataset) -> None:
    with Apart() as apart:
        with pytest.raises(RuntimeError, match="no-such-decoder"):
            apart.decode(image, ("no-such-decoder",))
        child = apart._child
        assert apart.decode(image, decoders(RLELossless)).shape == (3, 5, 7)
        assert apart._child is child


def test_a_child_that_dies_is_told_of_and_followed_by_another(image: Dataset) -> None:
    names = decoders(RLELossless)
    with Apart() as apart:
        apart.decode(image, names)
        apart._child.kill()
        with pytest.raises(DecoderDiedError, match="exit code"):
            apart.decode(image, names)
        assert apart.decode(image, names).shape == (3, 5, 7)


def test_without_a_child_it_is_decoded_here(image: Dataset, monkeypatch) -> None:
    monkeypatch.setattr("sys.executable", "")
    with Apart() as apart:
        assert apart.decode(image, decoders(RLELossless)).shape == (3, 5, 7)
        assert not apart.is_running


def test_the_child_is_not_told_whose_image_it_is(image: Dataset) -> None:
    sent = _pixels_of(image)
    assert "PatientName" not in sent
    assert {element.tag.group for element in sent} == {0x0028, 0x7FE0}
