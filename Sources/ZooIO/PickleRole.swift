import ZooCore

/// What the reader makes of a Python class or function that a pickle stream names.
///
/// Nothing is ever called. A name with a role of its own has its effect re-enacted on plain data; an `inert` one
/// may be "called", which yields a placeholder; any `refused` one may only be mentioned, and an attempt to call
/// it, or to construct or fill an instance, ends in an error with its name.
enum PickleRole: Sendable, Equatable {
    /// `_rebuild_tensor(storage, offset, shape, strides)` and `_rebuild_tensor_v2(…, requires_grad, hooks)`.
    case rebuildTensor
    /// `_rebuild_parameter(tensor, requires_grad, hooks)` and its variant with state: the tensor itself.
    case rebuildParameter
    /// `_rebuild_from_type_v2(function, type, arguments, state)`: what `function` makes of `arguments`.
    case rebuildFromType
    case storage(DType?)
    /// A class whose instances are dictionaries: items are kept.
    case dictionary
    /// `torch.Size`, `builtins.tuple`: the argument as a tuple.
    case tuple
    case list
    case set
    case inert
    case refused

    init(module: String, name: String) {
        self = Self.known["\(module).\(name)"] ?? .refused
    }

    private static let known: [String: PickleRole] = {
        var roles: [String: PickleRole] = [
            "torch._utils._rebuild_tensor": .rebuildTensor,
            "torch._utils._rebuild_tensor_v2": .rebuildTensor,
            "torch._utils._rebuild_parameter": .rebuildParameter,
            "torch._utils._rebuild_parameter_with_state": .rebuildParameter,
            "torch._tensor._rebuild_from_type_v2": .rebuildFromType,
            "torch.Size": .tuple,
            "collections.OrderedDict": .dictionary,
            "collections.Counter": .dictionary,
            "collections.defaultdict": .dictionary,
        ]
        let storages: [String: DType?] = [
            "Float": .float32, "Double": .float64, "Half": .float16, "BFloat16": .bfloat16, "Long": .int64,
            "Int": .int32, "Short": .int16, "Char": .int8, "Byte": .uint8, "Bool": .bool, "ComplexFloat": nil,
            "ComplexDouble": nil, "QInt8": nil, "QUInt8": nil, "QInt32": nil,
        ]
        for (name, dtype) in storages { roles["torch.\(name)Storage"] = .storage(dtype) }
        roles["torch.storage.UntypedStorage"] = .storage(nil)
        for builtins in ["builtins", "__builtin__"] {
            roles["\(builtins).dict"] = .dictionary
            roles["\(builtins).tuple"] = .tuple
            roles["\(builtins).list"] = .list
            roles["\(builtins).set"] = .set
            roles["\(builtins).frozenset"] = .set
        }
        for name in harmless { roles[name] = .inert }
        return roles
    }()

    /// Classes and constructors that training scripts leave in checkpoints beside the weights: options, numbers,
    /// dates, paths, configuration objects. They become placeholders.
    private static let harmless: [String] =
        ["bool", "int", "float", "complex", "str", "bytes", "bytearray", "object", "slice", "range"].flatMap {
            ["builtins.\($0)", "__builtin__.\($0)"]
        }
        + ["numpy.core", "numpy._core"].flatMap {
            ["\($0).multiarray.scalar", "\($0).multiarray._reconstruct", "\($0).numeric._frombuffer"]
        }
        + [
            "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
            "bool_", "ndarray", "dtype",
        ].map { "numpy.\($0)" }
        + [
            "_codecs.encode", "argparse.Namespace", "types.SimpleNamespace", "copyreg._reconstructor",
            "copy_reg._reconstructor", "collections.deque", "datetime.date", "datetime.datetime", "datetime.time",
            "datetime.timedelta", "datetime.timezone", "decimal.Decimal", "fractions.Fraction", "uuid.UUID",
            "pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePath", "pathlib.PurePosixPath",
            "pathlib.PureWindowsPath", "pathlib._local.PosixPath", "pathlib._local.WindowsPath", "torch.device",
            "torch.serialization._get_layout", "yacs.config.CfgNode",
            "fvcore.common.config.CfgNode", "detectron2.config.config.CfgNode", "easydict.EasyDict",
            "addict.addict.Dict", "ml_collections.config_dict.config_dict.ConfigDict",
            "mmengine.logging.history_buffer.HistoryBuffer", "mmcv.utils.config.ConfigDict",
        ]
}
