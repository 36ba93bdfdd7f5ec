"""The peers: one function per runtime that turns a PyTorch module into a call on fixed inputs."""

import logging
import tempfile
import warnings

import torch


def eager(module, inputs, threads):
    torch.set_num_threads(threads)

    @torch.inference_mode()
    def call():
        return module(*inputs).numpy()

    return call


def compiled(module, inputs, threads):
    """torch.compile with frozen weights, so that it may fold constants and choose their layout."""
    import torch._inductor.config

    torch._inductor.config.freezing = True
    return eager(torch.compile(module, fullgraph=True, dynamic=False), inputs, threads)


def onnxruntime(module, inputs, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(exported(module, inputs), options, providers=["CPUExecutionProvider"])
    feed = {node.name: value.numpy() for node, value in zip(session.get_inputs(), inputs)}
    return lambda: session.run(None, feed)[0]


def openvino(module, inputs, threads):
    import openvino

    model = openvino.Core().compile_model(exported(module, inputs), "CPU", {
        "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads})
    request = model.create_infer_request()
    feed = {port.any_name: value.numpy() for port, value in zip(model.inputs, inputs)}
    return lambda: request.infer(feed, share_inputs=True)[0]


ALL = {"eager": eager, "compile": compiled, "onnxruntime": onnxruntime, "openvino": openvino}

_graphs = {}


def exported(module, inputs):
    """The module as an ONNX file with the shapes of these inputs, written once and removed at exit."""
    key = module, *(value.shape for value in inputs)
    if key not in _graphs:
        folder = tempfile.TemporaryDirectory(prefix="zoo-peers-")
        path = f"{folder.name}/model.onnx"
        module(*inputs)  # tables are computed before the export, which then finds constants
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with warnings.catch_warnings(action="ignore"):
            torch.onnx.export(module, inputs, path, opset_version=20, dynamo=True, external_data=False, verbose=False,
                              input_names=[f"input{i}" for i in range(len(inputs))], output_names=["output"])
        _graphs[key] = path, folder
    return _graphs[key][0]


def versions(names):
    """Version of every package behind the named runtimes."""
    import importlib.metadata

    packages = {"torch"} | ({"onnxruntime", "openvino"} & set(names))
    return {package: importlib.metadata.version(package) for package in sorted(packages)}
