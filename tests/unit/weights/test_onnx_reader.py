import numpy as np
import pytest

from radalign.weights.onnx_reader import OnnxError, read_onnx

onnx = pytest.importorskip("onnx")


def a_model(tensors, nodes=()):
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph(list(nodes), "g", [value], [value], initializer=tensors)
    return onnx.helper.make_model(graph, doc_string="a text before and after " * 50)


ARRAYS = {
    "floats": np.arange(6, dtype=np.float32).reshape(2, 3),
    "halves": np.array([1.5, -2.0], np.float16),
    "doubles": np.array([[1e-300]], np.float64),
    "longs": np.array([-(2**62), -1, 0, 2**62], np.int64),
    "ints": np.array([-3, 3], np.int32),
    "flags": np.array([True, False]),
    "scalar": np.array(7.0, np.float32),
    "nothing": np.zeros((0, 4), np.float32),
}


def test_every_kind_of_raw_tensor_comes_back(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(a_model([onnx.numpy_helper.from_array(a, n) for n, a in ARRAYS.items()]), path)
    found = read_onnx(path).tensors
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_tensors_in_typed_fields_come_back_too(tmp_path):
    """Without raw bytes, a tensor keeps packed floats or varints; negative varints take ten bytes."""
    path = tmp_path / "m.onnx"
    make, kinds = onnx.helper.make_tensor, onnx.TensorProto
    tensors = [
        make("floats", kinds.FLOAT, [2, 2], [1.0, 2.0, -3.0, 4.5]),
        make("longs", kinds.INT64, [3], [-5, 0, 2**40]),
        make("doubles", kinds.DOUBLE, [2], [0.1, -0.2]),
        make("ints", kinds.INT32, [3], [-7, 0, 2**31 - 1]),
    ]
    onnx.save(a_model(tensors), path)
    found = read_onnx(path).tensors
    assert found["floats"].tolist() == [[1.0, 2.0], [-3.0, 4.5]]
    assert found["longs"].tolist() == [-5, 0, 2**40]
    assert found["doubles"].tolist() == [0.1, -0.2]
    assert found["ints"].tolist() == [-7, 0, 2**31 - 1]


def test_nodes_keep_their_order_names_inputs_and_outputs(tmp_path):
    path = tmp_path / "m.onnx"
    nodes = [
        onnx.helper.make_node("MatMul", ["a", "b"], ["c"], name="/enc/MatMul"),
        onnx.helper.make_node("Split", ["c"], ["d", "e"], axis=1),
    ]
    onnx.save(a_model([], nodes), path)
    first, second = read_onnx(path).nodes
    assert (first.name, first.operation, first.inputs, first.outputs) == (
        "/enc/MatMul", "MatMul", ("a", "b"), ("c",)
    )  # fmt: skip
    assert (second.name, second.operation, second.outputs) == ("", "Split", ("d", "e"))


@pytest.mark.parametrize("keep", [1, 40, 500])
def test_a_file_that_is_cut_short_is_refused(tmp_path, keep):
    path = tmp_path / "m.onnx"
    onnx.save(a_model([onnx.numpy_helper.from_array(np.ones(500, np.float32), "w")]), path)
    path.write_bytes(path.read_bytes()[:-keep])
    with pytest.raises(OnnxError, match=r"m\.onnx is not an ONNX file or is cut short; download"):
        read_onnx(path)


@pytest.mark.parametrize("content", [b"\x00" * 64, b"\x89PNG\r\n\x1a\n" * 9, b"\xff" * 40, b"{}"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(OnnxError, match="not an ONNX file"):
        read_onnx(path)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "m.onnx").touch()
    with pytest.raises(OnnxError, match="is empty"):
        read_onnx(tmp_path / "m.onnx")


def test_an_unknown_type_and_weights_kept_elsewhere_are_refused(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(a_model([onnx.helper.make_tensor("s", onnx.TensorProto.STRING, [1], [b"text"])]), path)
    with pytest.raises(OnnxError, match="Tensor s has ONNX data type 8"):
        read_onnx(path)
    weight = onnx.numpy_helper.from_array(np.ones(3000, np.float32), "w")
    onnx.save(a_model([weight]), path, save_as_external_data=True, location="elsewhere.bin")
    with pytest.raises(OnnxError, match="Tensor w has 0 values"):
        read_onnx(path)
