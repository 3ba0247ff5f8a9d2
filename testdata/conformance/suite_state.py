"""Variables, tables, TensorArrays, TensorLists: each case starts without any of them."""
import numpy as np

from recorder import NUMBERS
from suite_math import each

FEW = ["f32", "i32", "f64"]


def variable(g, d="f32", shape=(4,), name="v", value=None):
    """A resource variable with its initializer run: the handle and what has to wait for it."""
    h = g.op("VarHandleOp", dtype=d, shape=shape, shared_name=g.prefix + name)
    init = g.op("AssignVariableOp", h, g.const(g.values(shape, d, None, None) if value is None else value, d))
    return h, [init]


def reference(g, d="f32", shape=(4,), op="VariableV2", name="v"):
    """A TF1 variable after its initializer, which gives the reference on."""
    v = g.op(op, dtype=d, shape=shape, shared_name=g.prefix + name)
    return g.op("Assign", v, g.rand(shape, d))


def build(R):
    group = "var"

    def read(g, h, after, d):
        return g.op("ReadVariableOp", h, dtype=d, controls=after)

    def assign(g, d):
        h, init = variable(g, d)
        return read(g, h, init, d)
    R.case(group, "ReadVariableOp", each(NUMBERS + ["bool", "str"], assign))

    def many(g):
        h = g.op("_VarHandlesOp", containers=["", ""], shared_names=[g.prefix + "a", g.prefix + "b"], N=2, dtypes=["f32", "f32"], shapes=[[2], [2]])
        init = [g.op("AssignVariableOp", x, g.rand([2])) for x in h]
        return g.op("_ReadVariablesOp", h, dtypes=["f32", "f32"], controls=init)
    R.case(group, "_ReadVariablesOp", [many])
    for op in ("AssignAddVariableOp", "AssignSubVariableOp"):
        def change(g, d, op=op):
            h, init = variable(g, d)
            return read(g, h, [g.op(op, h, g.rand([4], d), controls=init)], d)
        R.case(group, op, each(NUMBERS, change), "one")

    def asks(g):
        h, init = variable(g)
        other = g.op("VarHandleOp", dtype="f32", shape=[2], shared_name=g.prefix + "never")
        return [g.op("VarIsInitializedOp", h, controls=init), g.op("VarIsInitializedOp", other), g.op("VariableShape", h, controls=init)]
    R.case(group, "VarIsInitializedOp", [asks])

    def destroyed(g):
        h, init = variable(g)
        gone = g.op("DestroyResourceOp", h, controls=init)
        return g.op("VarIsInitializedOp", h, controls=[gone])
    R.case(group, "DestroyResourceOp", [destroyed])

    def copied(g):
        h, init = variable(g)
        return read(g, h, [g.op("DisableCopyOnRead", h, controls=init)], "f32")
    R.case(group, "DisableCopyOnRead", [copied])

    def gather(g, d):
        h, init = variable(g, d, (4, 2))
        return [g.op("ResourceGather", h, g.const([3, 0], "i32"), dtype=d, controls=init), g.op("ResourceGatherNd", h, g.const([[1, 1], [2, 0]], "i32"), dtype=d, controls=init)]
    R.case(group, "ResourceGather", each(FEW, gather))
    for k in ("Update", "Add", "Sub", "Mul", "Div", "Max", "Min"):
        def scatter(g, d, k=k):
            h, init = variable(g, d, (4, 2))
            return read(g, h, [g.op("ResourceScatter" + k, h, g.const([2, 0], "i32"), g.rand([2, 2], d, 1, 3), controls=init, dtype=d)], d)
        R.case(group, "ResourceScatter" + k, each(FEW, scatter), "one")

        def scatter_ref(g, d, k=k):
            return g.op("Identity", g.op("Scatter" + k, reference(g, d, (4, 2)), g.const([2, 0], "i32"), g.rand([2, 2], d, 1, 3)))
        R.case(group, "Scatter" + k, each(FEW, scatter_ref), "one")
    for k in ("Update", "Add", "Sub", "Max", "Min"):
        def scatter_nd(g, d, k=k):
            h, init = variable(g, d, (4, 2))
            return read(g, h, [g.op("ResourceScatterNd" + k, h, g.const([[2], [0]], "i32"), g.rand([2, 2], d), controls=init)], d)
        R.case(group, "ResourceScatterNd" + k, each(FEW, scatter_nd), "one")

        def scatter_nd_ref(g, d, k=k):
            return g.op("Identity", g.op("ScatterNd" + k, reference(g, d, (4, 2)), g.const([[2], [0]], "i32"), g.rand([2, 2], d)))
        R.case(group, "ScatterNd" + k, each(FEW, scatter_nd_ref), "one")

    def strided(g, d):
        h, init = variable(g, d, (4, 2))
        return read(g, h, [g.op("ResourceStridedSliceAssign", h, g.const([1], "i32"), g.const([4], "i32"), g.const([2], "i32"), g.rand([2, 2], d), controls=init)], d)
    R.case(group, "ResourceStridedSliceAssign", each(FEW, strided))
    R.case(group, "StridedSliceAssign", each(FEW, lambda g, d: g.op("Identity", g.op("StridedSliceAssign", reference(g, d, (4, 2)), g.const([1], "i32"), g.const([4], "i32"), g.const([2], "i32"), g.rand([2, 2], d)))))

    def counted(g, d):
        h, init = variable(g, d, (), value=3)
        first = g.op("ResourceCountUpTo", h, limit=5, T=d, controls=init)
        return [first, g.op("ResourceCountUpTo", h, limit=5, T=d, controls=[first])]
    R.case(group, "ResourceCountUpTo", each(["i32", "i64"], counted))
    R.case(group, "CountUpTo", each(["i32", "i64"], lambda g, d: g.op("CountUpTo", g.op("Assign", g.op("VariableV2", dtype=d, shape=[], shared_name=g.prefix + "c"), g.const(3, d)), limit=5)))
    for op in ("Variable", "VariableV2"):
        R.case(group, op, each(NUMBERS + ["bool", "str"], lambda g, d, op=op: g.op("Identity", reference(g, d, (2, 2), op))))
    for op in ("AssignAdd", "AssignSub"):
        R.case(group, op, each(NUMBERS, lambda g, d, op=op: g.op("Identity", g.op(op, reference(g, d), g.rand([4], d)))), "one")
    R.case(group, "RefIdentity", [lambda g: g.op("Identity", g.op("RefIdentity", reference(g)))])

    def initialized(g):
        a = g.op("VariableV2", dtype="f32", shape=[2], shared_name=g.prefix + "a")
        b = g.op("VariableV2", dtype="f32", shape=[2], shared_name=g.prefix + "b")
        done = g.op("Assign", a, g.rand([2]))
        return [g.op("IsVariableInitialized", a, controls=[done]), g.op("IsVariableInitialized", b)]
    R.case(group, "IsVariableInitialized", [initialized])

    group = "table"
    words = ["the", "cat", "", "été"]

    def table(g, kd, vd, keys, values, query, default, op="HashTableV2", fill="LookupTableImportV2", find="LookupTableFindV2", size="LookupTableSizeV2"):
        t = g.op(op, key_dtype=kd, value_dtype=vd, **({} if "Anonymous" in op else dict(shared_name=g.prefix + "t")))
        done = g.op(fill, t, g.const(keys, kd), g.const(values, vd))
        return [g.op(find, t, g.const(query, kd), g.const(default, vd), controls=[done]), g.op(size, t, controls=[done])]
    pairs = [("str", "i64", words, [0, 1, 2, 3], [["cat", "dog"], ["", "été"]], -1), ("i64", "str", [5, -3], ["a", "b"], [5, 0, -3], "?"), ("i64", "i64", [5, -3], [50, 30], [[5], [0]], 7),
             ("i32", "f32", [1, 2], [0.5, 1.5], [2, 3], -1), ("str", "str", ["a"], ["b"], "a", ""), ("str", "f32", ["a"], [1.5], np.zeros([0, 2], object), 0), ("str", "bool", ["a"], [True], ["a", "b"], False)]
    for op in ("HashTableV2", "MutableHashTableV2", "AnonymousHashTable", "AnonymousMutableHashTable"):
        R.case(group, op, [lambda g, op=op, p=p: table(g, *p, op=op) for p in pairs])
    R.case(group, "InitializeTableV2", [lambda g, p=p: table(g, *p, fill="InitializeTableV2") for p in pairs])
    R.case(group, "LookupTableInsertV2", [lambda g, p=p: table(g, *p, op="MutableHashTableV2", fill="LookupTableInsertV2") for p in pairs])
    for op, fill in (("HashTable", "InitializeTable"), ("HashTable", "LookupTableImport"), ("MutableHashTable", "LookupTableInsert"), ("MutableHashTable", "LookupTableImport")):
        R.case(group, op + "_" + fill, [lambda g, op=op, fill=fill, p=p: table(g, *p, op=op, fill=fill, find="LookupTableFind", size="LookupTableSize") for p in pairs])

    def removed(g):
        t = g.op("MutableHashTableV2", key_dtype="i64", value_dtype="f32", shared_name=g.prefix + "t")
        a = g.op("LookupTableInsertV2", t, g.const([1, 2, 3], "i64"), g.rand([3]))
        b = g.op("LookupTableRemoveV2", t, g.const([2, 9], "i64"), controls=[a])
        return [g.op("LookupTableFindV2", t, g.const([1, 2, 3], "i64"), g.const(-1.0), controls=[b]), g.op("LookupTableSizeV2", t, controls=[b])]
    R.case(group, "LookupTableRemoveV2", [removed])

    def exported(g, op, table_op, fill, d):
        t = g.op(table_op, key_dtype="str", value_dtype=d, shared_name=g.prefix + "t")
        done = g.op(fill, t, g.const(["only"], "str"), g.rand([1], d))
        return g.op(op, t, Tkeys="str", Tvalues=d, controls=[done])
    R.case(group, "LookupTableExportV2", [lambda g, d=d, o=o: exported(g, "LookupTableExportV2", o, "LookupTableImportV2", d) for d in ("i64", "f32") for o in ("HashTableV2", "MutableHashTableV2")])
    R.case(group, "LookupTableExport", [lambda g, d=d: exported(g, "LookupTableExport", "HashTable", "InitializeTable", d) for d in ("i64", "f32")])

    group = "tensorarray"

    def array(g, d, size=3, **kw):
        return g.op("TensorArrayV3", g.const(size, "i32"), dtype=d, **kw)

    def write_read(g, d):
        h, flow = array(g, d, clear_after_read=False)
        for i in range(3):
            flow = g.op("TensorArrayWriteV3", h, g.const(i, "i32"), g.rand([2], d), flow)
        one = g.op("TensorArrayReadV3", h, g.const(1, "i32"), flow, dtype=d)
        return [one, g.op("TensorArraySizeV3", h, flow), g.op("TensorArrayGatherV3", h, g.const([2, 0], "i32"), flow, dtype=d, element_shape=[2]),
                *g.op("TensorArrayConcatV3", h, flow, dtype=d)]
    R.case(group, "TensorArrayWriteV3", each(NUMBERS + ["bool", "str"], write_read))

    def scatter(g, d):
        h, flow = array(g, d, 1, dynamic_size=True)
        flow = g.op("TensorArrayScatterV3", h, g.const([1, 0, 3], "i32"), g.rand([3, 2], d), flow)
        return [g.op("TensorArrayReadV3", h, g.const(3, "i32"), flow, dtype=d), g.op("TensorArraySizeV3", h, flow)]
    R.case(group, "TensorArrayScatterV3", each(FEW, scatter))

    def split(g, d):
        h, flow = array(g, d, 2)
        flow = g.op("TensorArraySplitV3", h, g.rand([5, 2], d), g.const([2, 3], "i64"), flow)
        got = g.op("TensorArrayReadV3", h, g.const(1, "i32"), flow, dtype=d)
        return [got, g.op("Identity", g.const(1.0), controls=[g.op("TensorArrayCloseV3", h, controls=[got])])]
    R.case(group, "TensorArraySplitV3", each(FEW, split))

    group = "tensorlist"
    free = lambda g: g.const(-1, "i32")

    def stack(g, l, d, shape=(2,)):
        return g.op("TensorListStack", l, g.const(shape, "i32"), element_dtype=d)

    def pushed(g, d, n=2):
        l = g.op("EmptyTensorList", free(g), g.const(-1, "i32"), element_dtype=d)
        for _ in range(n):
            l = g.op("TensorListPushBack", l, g.rand([2], d))
        return l

    def pop(g, d):
        l, last = g.op("TensorListPopBack", pushed(g, d), g.const([2], "i32"), element_dtype=d)
        return [last, g.op("TensorListLength", l), stack(g, l, d)]
    R.case(group, "TensorListPopBack", each(NUMBERS + ["bool", "str"], pop))

    def reserve(g, d):
        l = g.op("TensorListReserve", g.const([2], "i32"), g.const(3, "i32"), element_dtype=d)
        l = g.op("TensorListSetItem", l, g.const(1, "i32"), g.rand([2], d))
        return [stack(g, l, d), g.op("TensorListGetItem", l, g.const(1, "i32"), g.const([2], "i32"), element_dtype=d),
                g.op("TensorListElementShape", l, shape_type="i64"), g.op("TensorListLength", g.op("TensorListResize", l, g.const(5, "i32")))]
    R.case(group, "TensorListSetItem", each(FEW, reserve))
    from_tensor = lambda g, d, n=3: g.op("TensorListFromTensor", g.rand([n, 2], d), g.const([2], "i32"))
    R.case(group, "TensorListGather", each(FEW, lambda g, d: g.op("TensorListGather", from_tensor(g, d), g.const([2, 0, 2], "i32"), g.const([2], "i32"), element_dtype=d)))
    R.case(group, "TensorListConcatLists", each(FEW, lambda g, d: stack(g, g.op("TensorListConcatLists", from_tensor(g, d), from_tensor(g, d, 1), element_dtype=d), d)))
    R.case(group, "TensorListConcat", each(FEW, lambda g, d: g.op("TensorListConcat", from_tensor(g, d), element_dtype=d, element_shape=[2])))
    R.case(group, "TensorListConcatV2", each(FEW, lambda g, d: g.op("TensorListConcatV2", from_tensor(g, d), g.const([-1], "i32"), g.const(np.zeros([0]), "i64"), element_dtype=d)))
    R.case(group, "TensorListSplit", each(FEW, lambda g, d: g.op("TensorListGetItem", g.op("TensorListSplit", g.rand([5, 2], d), g.const([-1, 2], "i32"), g.const([2, 3], "i64")), g.const(1, "i32"), g.const([-1, 2], "i32"), element_dtype=d)))
    R.case(group, "TensorListScatter", each(FEW, lambda g, d: stack(g, g.op("TensorListScatter", g.rand([2, 2], d), g.const([2, 0], "i32"), g.const([2], "i32")), d)))
    R.case(group, "TensorListScatterV2", each(FEW, lambda g, d: stack(g, g.op("TensorListScatterV2", g.rand([2, 2], d), g.const([2, 0], "i32"), g.const([2], "i32"), g.const(4, "i32")), d)))
    R.case(group, "TensorListScatterIntoExistingList", each(FEW, lambda g, d: stack(g, g.op("TensorListScatterIntoExistingList", from_tensor(g, d), g.rand([1, 2], d), g.const([1], "i32")), d)))

    def batch(g, d):
        l = g.op("Pack", [pushed(g, d, 1), pushed(g, d, 1)])
        l = g.op("TensorListPushBackBatch", l, g.rand([2, 2], d))
        return stack(g, g.op("GatherV2", l, g.const(1, "i32"), g.const(0, "i32")), d)
    R.case(group, "TensorListPushBackBatch", each(FEW, batch))
