"""How tensors, arrays, ids, gradients and modules look in a debugger.

It reads memory and debug information only, through the few functions that gdb.py and lldb.py bring
along, and calls nothing in the program: a dead process or a core file will do. What lies in a
variable before its constructor has run is garbage, so every size is checked before it is used.
"""

import math
import re
import struct

IN_FULL, EDGE = 24, 3  # longer arrays show this many numbers at both ends


class Unreadable(Exception):
    pass


class Object:
    """A place in memory, and the type that debug information gives for it."""

    def __init__(self, debugger, address, type):
        self.debugger, self.address, self.type = debugger, address, type

    def __getitem__(self, names):  # a member, by the first of its possible names
        for name in (names,) if isinstance(names, str) else names:
            found = self.debugger.field(self.type, name)
            if found:
                return Object(self.debugger, self.address + found[0], found[1])
        raise Unreadable(f"{self.name} has no member {names}")

    def at(self, address, type):
        if isinstance(type, str):
            name, type = type, self.debugger.type(type)
            if type is None:
                raise Unreadable(f"no debug information about {name}")
        return Object(self.debugger, address, type)

    @property
    def name(self):
        return self.debugger.name(self.type)

    def bytes(self, size):
        return self.debugger.read(self.address, size)

    def integer(self):
        return int.from_bytes(self.bytes(self.debugger.size(self.type)), "little")

    def flag(self):
        value = self.bytes(1)[0]
        if value > 1:
            raise Unreadable("not constructed")
        return value == 1

    def pointer(self, word=0):  # also the one that a shared_ptr, unique_ptr or vector begins with
        return int.from_bytes(self.debugger.read(self.address + 8 * word, 8), "little")

    def argument(self, i):  # of a template
        return self.debugger.argument(self.type, i)


def between(begin, end, size, most=1 << 48):
    if end < begin or (end - begin) % size or (end - begin) // size > most:
        raise Unreadable("not constructed")
    return (end - begin) // size


def items(vector, type=None, most=1 << 20):
    """The objects in a std::vector."""
    type = type or vector.argument(0)
    begin, size = vector.pointer(0), vector.debugger.size(type)
    n = between(begin, vector.pointer(1), size, most)
    return [vector.at(begin + i * size, type) for i in range(n)]


def c_string(address, debugger):
    text = b""
    while b"\0" not in text and len(text) < 64:
        text += debugger.read(address + len(text), 1)
    if not re.fullmatch(rb"[\x20-\x7e]{1,63}\0", text):
        raise Unreadable("not constructed")
    return text[:-1].decode()


def string(o):
    size = o.pointer(1)
    if size > 1000:
        raise Unreadable("not constructed")
    return o.debugger.read(o.pointer(), size).decode("utf-8", "replace")


# ---- shapes and numbers ----

def shape_of(o):
    begin, end = o["m_begin", "p_begin"].pointer(), o["m_end", "p_end"].pointer()
    n = between(begin, end, 8, 32)
    sizes = struct.unpack(f"<{n}Q", o.debugger.read(begin, 8 * n)) if n else ()
    if math.prod(max(1, s) for s in sizes) > 1 << 48:
        raise Unreadable("not constructed")
    return list(sizes)


class Numbers:
    """The numbers of an xt::xarray: of Real, or of ids."""

    def __init__(self, o):
        self.shape = shape_of(o["m_shape"])
        begin, self.debugger = o["m_storage"][("p_begin", "m_begin")], o.debugger
        number = o.debugger.name(o.debugger.target(begin.type))
        self.letter = {"float": "f", "double": "d"}.get(number, "q")
        self.width = struct.calcsize(self.letter)
        self.begin, self.size = begin.pointer(), math.prod(self.shape)
        stored = between(self.begin, o["m_storage"][("p_end", "m_end")].pointer(), self.width)
        if stored != self.size:
            raise Unreadable("not constructed")

    def read(self, first, n):
        if n == 0:
            return []
        data = self.debugger.read(self.begin + first * self.width, n * self.width)
        return list(struct.unpack(f"<{n}{self.letter}", data))

    def first_bad(self):
        """Where the first NaN or infinity is, or None."""
        for first in range(0, self.size, 1 << 16):
            for i, x in enumerate(self.read(first, min(1 << 16, self.size - first))):
                if not math.isfinite(x):
                    return first + i
        return None

    def place(self, i):  # 5 in [2, 3] -> [1, 2]
        index = []
        for n in reversed(self.shape):
            i, last = divmod(i, n)
            index.insert(0, last)
        return index

    def __str__(self):
        if self.size > IN_FULL:
            ends = [show(x) for x in self.read(0, EDGE) + self.read(self.size - EDGE, EDGE)]
            return "{" + ", ".join(ends[:EDGE] + ["..."] + ends[EDGE:]) + "}"
        numbers = iter(self.read(0, self.size))

        def block(axis):
            if axis == len(self.shape):
                return show(next(numbers))
            return "{" + ", ".join(block(axis + 1) for _ in range(self.shape[axis])) + "}"

        if self.size == 0:
            return "{}"
        return block(0) if self.shape else "{" + block(0) + "}"


def show(x):
    return str(x) if isinstance(x, int) else f"{x:.4g}"


def array(o):
    numbers = Numbers(o)
    return f"{numbers.shape} {numbers}"


def shared_indices(o):
    return array(o.at(o["ids_"].pointer(), "gradwalk::Indices"))


# ---- tensors ----

def node_of(o):
    """The node of a tensor, None in an undefined one; also takes nodes and pointers to them."""
    if o.name != "gradwalk::Node":
        o = o["node_"] if o.name == "gradwalk::Tensor" else o
        if o.pointer() == 0:
            return None
        o = o.at(o.pointer(), "gradwalk::Node")
    return o


def label(node):  # #4 tanh
    return f"#{node['id'].integer()} {c_string(node['op'].pointer(), node.debugger)}"


def inputs_of(node):
    return items(node["inputs"], node.debugger.type("gradwalk::Tensor"))


def tensor(o):
    node = node_of(o)
    if node is None:
        return "undefined tensor"
    text = f"{label(node)} {array(node['value'])}"
    if node["requires_grad"].flag():
        text += " requires_grad"
        if not node["leaf"].flag() and not inputs_of(node):
            text += ", graph released"
    return text


def grad_of(node):
    """What backward() has left in a leaf, or None."""
    address = node["grad"].pointer()
    grad = node.at(address, node["grad"].argument(0)) if address else None
    return grad if grad and "monostate" not in held(grad).name else None


def tensor_parts(o):
    node = node_of(o)
    if node is None:
        return []
    grad = grad_of(node)
    parts = [("grad", grad)] if grad else []
    return parts + [(f"inputs[{i}]", x) for i, x in enumerate(inputs_of(node))]


def tensors(o):
    n = len(items(o))
    return f"{n} tensor" + "s" * (n != 1)


def tensors_parts(o):
    return [(f"[{i}]", x) for i, x in enumerate(items(o))]


# ---- gradients ----

def held(o):
    """What a Gradient holds: one of its alternatives, which all begin where it begins."""
    index = o[("_M_index", "__index")].bytes(1)[0]
    kind = o.argument(index) if index < 5 else None
    if kind is None:
        raise Unreadable("not constructed")
    return o.at(o.address, kind)


def gradient(o):
    o = held(o)
    return "none" if "monostate" in o.name else summary(o)


def gradient_parts(o):
    return parts(held(o))


def row_sparse(o):
    ids = Numbers(o.at(o["rows"]["ids_"].pointer(), "gradwalk::Indices"))
    state = "".join(f", {word}" for word in ("coalesced", "to_dense") if o[word].flag())
    of = o["num_rows"].integer()
    values = node_of(o["values"])
    numbers = array(values["value"]) if values else "undefined"
    return f"rows {ids.shape} {ids} of {of}{state}: values {numbers}"


def row_sparse_parts(o):
    return [("rows", o["rows"]), ("values", o["values"])]


def slice_(o):
    begin, axis = o["begin"].integer(), o["axis"].integer()
    dy = node_of(o["dy"])
    numbers = array(dy["value"]) if dy else "undefined"
    return f"slice from {begin} along axis {axis} of {shape_of(o['shape'])}: {numbers}"


def gradient_sum(o):
    rows = [row_sparse(x) for x in items(o["rows_"])]
    dense = gradient(o["sum_"])
    return " + ".join(rows if dense == "none" and rows else [dense] + rows)


def first_bad(o):
    """The first array in a gradient, or tensor, that holds a NaN or an infinity."""
    o = held(o) if o.name.startswith("std::variant") else o
    if o.name.startswith("std::vector"):
        found = [first_bad(x) for x in items(o)]
    elif o.name == "gradwalk::Tensor":
        node = node_of(o)
        found = [first_bad(node["value"])] if node else []
    elif o.name in ("gradwalk::RowSparse", "gradwalk::Slice"):
        found = [first_bad(o["values" if o.name.endswith("RowSparse") else "dy"])]
    elif o.name.startswith("xt::xarray"):
        numbers = Numbers(o)
        at = numbers.first_bad()
        found = [] if at is None else [f"{show(*numbers.read(at, 1))} at {numbers.place(at)}"]
    else:
        found = []
    return next((x for x in found if x), None)


def waiting(o):
    """The tensors and sums in walk()'s std::map, youngest first."""
    header = o["_M_t"]["_M_impl"]["_M_header"]
    node, root, pair, found = header.pointer(2), header.pointer(1), o.argument(1), []
    if root == 0:
        return found
    read = lambda address, word: int.from_bytes(o.debugger.read(address + 8 * word, 8), "little")
    # a red-black tree: colour, parent, left, right, key, value
    stack, node = [], root
    while (stack or node) and len(found) < 100000:
        while node:
            stack.append(node)
            if len(stack) > 200:
                raise Unreadable("not constructed")
            node = read(node, 2)
        node = stack.pop()
        entry = o.at(node + 40, pair)
        found.append((entry["first"], entry["second"]))
        node = read(node, 3)
    return found


# ---- modules ----

def parameters(o, prefix="", depth=0):
    found = []
    for pair in items(o["own_"], most=1000):
        found.append((prefix + string(pair["first"]), pair["second"]))
    for pair in items(o["children_"], most=1000) if depth < 20 else []:
        child = o.at(pair["second"].pointer(), "gradwalk::Module")
        found += parameters(child, f"{prefix}{string(pair['first'])}.", depth + 1)
    return found


def module(o):
    all = parameters(o)
    total = sum(Numbers(node_of(t)["value"]).size for _, t in all)
    mode = "training" if o["training_"].flag() else "eval"
    return f"{o.name.split('::')[-1]}: {len(all)} parameters, {total:,} numbers, {mode}"


# ---- all of them ----

# type's name, its line, and its parts as (name, object)
TABLE = [
    (r"gradwalk::(Tensor|Node)$|std::shared_ptr<gradwalk::Node>", tensor, tensor_parts),
    (r"std::vector<gradwalk::Tensor,", tensors, tensors_parts),
    (r"xt::xarray_container<|gradwalk::Indices$", array, None),
    (r"gradwalk::SharedIndices$", shared_indices, None),
    (r"xt::svector<unsigned long,", lambda o: str(shape_of(o)), None),
    (r"std::variant<std::monostate, gradwalk::Tensor,", gradient, gradient_parts),
    (r"gradwalk::RowSparse$", row_sparse, row_sparse_parts),
    (r"gradwalk::Slice$", slice_, lambda o: [("dy", o["dy"])]),
    (r"gradwalk::GradientSum$", gradient_sum, None),
]


def entry_for(o):
    if o.debugger.is_module(o.type):
        return module, parameters
    return next(((line, parts) for name, line, parts in TABLE if re.match(name, o.name)), None)


def summary(o):
    """One line; never an exception."""
    try:
        return entry_for(o)[0](o)
    except Exception as e:  # whatever a debugger throws at memory that cannot be read
        return f"<{e}>" if isinstance(e, Unreadable) else "<unreadable>"


def parts(o):
    try:
        _, parts_of = entry_for(o)
        return parts_of(o) if parts_of else []
    except Exception:
        return []
