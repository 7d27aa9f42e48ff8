"""gdb's kit: `source core/debugger/gdb.py`, which ./run debug does. `gw` lists its commands.

`print y` shows a tensor as one line and its inputs below; `print/r y` shows the bare members.
"""

import importlib.util
import os
import re
import sys

import gdb
import gdb.FrameDecorator

here = os.path.dirname(os.path.realpath(__file__))
root = os.path.dirname(os.path.dirname(here))
# By its path: on sys.path this folder's gdb.py and lldb.py would hide the debuggers' own modules.
sys.dont_write_bytecode = True  # not into the source tree
spec = importlib.util.spec_from_file_location("gradwalk_values", os.path.join(here, "values.py"))
values = importlib.util.module_from_spec(spec)
spec.loader.exec_module(values)


REFERENCES = (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF)


class Debugger:
    """What values.py asks of a debugger."""

    @staticmethod
    def read(address, size):
        return gdb.selected_inferior().read_memory(address, size).tobytes()

    @staticmethod
    def type(name):
        try:
            return gdb.lookup_type(name)
        except gdb.error:
            return None

    @staticmethod
    def plain(type):
        type = type.strip_typedefs()
        if type.code in REFERENCES:
            type = type.target().strip_typedefs()
        return type.unqualified()

    @classmethod
    def name(cls, type):
        return str(cls.plain(type))

    @classmethod
    def complete(cls, type):  # a file may only have declared it
        type = cls.plain(type)
        empty = type.code == gdb.TYPE_CODE_STRUCT and not type.fields()
        return empty and cls.type(str(type)) or type

    @classmethod
    def size(cls, type):
        return cls.complete(type).sizeof

    @classmethod
    def target(cls, type):
        return cls.plain(type).target()

    @classmethod
    def argument(cls, type, i):
        try:
            return cls.plain(type).template_argument(i)
        except (RuntimeError, gdb.error):
            return None

    @classmethod
    def field(cls, type, name):
        type = cls.complete(type)
        if type.code not in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            return None
        for field in type.fields():
            if not hasattr(field, "bitpos"):  # static
                continue
            if field.name == name and not field.is_base_class:
                return field.bitpos // 8, field.type
            inner = cls.field(field.type, name) if field.is_base_class else None
            if inner:
                return field.bitpos // 8 + inner[0], inner[1]
        return None

    @classmethod
    def is_module(cls, type):
        type = cls.plain(type)
        return type.code == gdb.TYPE_CODE_STRUCT and (
            str(type) == "gradwalk::Module"
            or any(f.is_base_class and cls.is_module(f.type) for f in type.fields()))


def object_of(value):
    """A gdb.Value as an object of values.py."""
    if value.type.strip_typedefs().code in REFERENCES:
        value = value.referenced_value()
    if Debugger.is_module(value.type):
        value = value.cast(value.dynamic_type)
    if value.address is not None:
        return values.Object(Debugger, int(value.address), value.type)
    # A tensor that a function has just returned may be in no memory, but its node is.
    return values.Object(Debugger, int(value["node_"]["_M_ptr"]), Debugger.type("gradwalk::Node"))


# ---- print ----

class Line:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return values.summary(object_of(self.value))


class Parts(Line):
    def children(self):
        o = object_of(self.value)
        # gdb's own `print` would go on from inputs to their inputs; an editor waits for a click,
        # and shows no line for what has parts.
        if not gdb.convenience_variable("gw_expand"):
            return [(name, values.summary(part)) for name, part in values.parts(o)]
        node = values.node_of(o) if re.match(values.TABLE[0][0], o.name) else None
        more = [(name, node[name]) for name in ("op", "value")] if node else []
        return [(name, gdb.Value(part.address).cast(Debugger.complete(part.type).pointer())
                 .dereference()) for name, part in more + values.parts(o)]


def printer_for(value):
    try:
        if Debugger.plain(value.type).code == gdb.TYPE_CODE_STRUCT:
            o = object_of(value)
            if values.entry_for(o):
                return Parts(value) if values.parts(o) else Line(value)
    except Exception:  # gdb shows the members instead
        pass
    return None


def print_objects_of(objfile):
    """libstdc++'s printers belong to its file; ours, for variant and vector, must come first."""
    if printer_for not in objfile.pretty_printers:
        objfile.pretty_printers.insert(0, printer_for)


for objfile in gdb.objfiles():
    print_objects_of(objfile)
gdb.events.new_objfile.connect(lambda event: print_objects_of(event.new_objfile))


# ---- step ----

# By function and not by file, which holds wherever the headers are installed.
OUTSIDE = r"^(std|xt|xtl|__gnu_cxx|nlohmann)::"


def is_outside(frame):
    return re.match(OUTSIDE, frame.name() or "std::") is not None


def skip_what_is_not_ours():
    for names in [OUTSIDE, r"^operator.(new|delete)",
                  # one line each, and in the way of every op
                  r"^gradwalk::(check|empty|full|size_of|message)(<|[(]|$)",
                  r"^gradwalk::Tensor::(Tensor|value|shape|size|dim|defined|node|requires_grad)",
                  r"^gradwalk::(Allocator|SharedIndices|Indices|Observer)(<|::)",
                  r"^gradwalk::(allocate|FlushSubnormals)"]:
        gdb.execute(f"skip -rfu {names}", to_string=True)
    # glibc's, where its debug information is installed: C functions, known by their odd paths only.
    for depth in ["./*/*", "../sysdeps/*/*", "../sysdeps/*/*/*", "../sysdeps/*/*/*/*"]:
        gdb.execute(f"skip -gfi ./*/{depth}", to_string=True)


skip_what_is_not_ours()
for setting in ["print pretty on", "print object on"]:
    gdb.execute(f"set {setting}", to_string=True)


class Short(gdb.FrameDecorator.FrameDecorator):
    def function(self):
        name = str(super().function())
        # gradwalk::walk<...>(...) -> gradwalk::walk
        operator = r"(operator(\(\)|[^\w\s(]+))?"
        short = re.match(rf"((\(anonymous namespace\)|[\w:~])*?{operator})(?=[<(])", name)
        return short[1] if short and short[1] else name


class OursOnly:
    """`bt` without signatures and what lies between a rule and its caller; not `bt -no-filters`."""
    name, enabled, priority = "gradwalk", True, 100

    def filter(self, frames):
        return (Short(f) for f in frames if not is_outside(f.inferior_frame()))


gdb.frame_filters["gradwalk"] = OursOnly()


# ---- gw ----

class Gw(gdb.Command):
    """See a graph, its gradients and what the engine does.

gw graph EXPR   the graph behind a tensor
gw grad EXPR    the gradient that backward() has left in a leaf
gw waiting      what the engine's walk still has to do
gw next-op      go on to the next op, before its loop
gw next-rule    go on to the next derivative rule
gw into         step into the function that a std::function, such as a rule, holds
gw until-nan    go on to the first op or rule that makes a NaN or an infinity

These functions are good breakpoints: gradwalk::apply_rule, gradwalk::GradientSum::add,
gradwalk::Optimizer::step_all, gradwalk::Optimizer::step_rows, and any op: break gradwalk::tanh"""

    def __init__(self):
        super().__init__("gw", gdb.COMMAND_USER, prefix=True)

    def invoke(self, argument, from_tty):
        if argument:
            raise gdb.GdbError(f"gw: there is no '{argument.split()[0]}'; `gw` lists what there is")
        print(self.__doc__)


Gw()


def command(name, completes=gdb.COMPLETE_NONE):
    """Makes a gdb command of a function, whose docstring is its help."""
    def make(function):
        def invoke(self, argument, from_tty):
            try:
                function(argument.strip())
            except (values.Unreadable, gdb.error, ValueError) as e:
                raise gdb.GdbError(f"gw {name}: {e}")
        kind = type(name, (gdb.Command,), {"__doc__": function.__doc__, "invoke": invoke})
        kind(f"gw {name}", gdb.COMMAND_USER, completes)
        return function
    return make


def tensor_named(expression, name):
    if not expression:
        raise gdb.GdbError(f"gw {name}: needs a tensor, as in: gw {name} loss")
    value = gdb.parse_and_eval(expression)
    if value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR:
        value = value.dereference()
    struct = Debugger.plain(value.type).code == gdb.TYPE_CODE_STRUCT
    o = object_of(value) if struct else None
    if o is None or not re.match(values.TABLE[0][0], o.name):
        raise gdb.GdbError(f"gw {name}: {expression} is no tensor but {value.type}")
    node = values.node_of(o)
    if node is None:
        raise gdb.GdbError(f"gw {name}: {expression} is an undefined tensor")
    return node


@command("graph", gdb.COMPLETE_EXPRESSION)
def graph(expression):
    """The graph behind a tensor: gw graph EXPR

Youngest first, which is the order of the way back. What is further from the tensor is further to
the right; <- names the inputs."""
    depth, nodes, found = {}, {}, [tensor_named(expression, "graph")]
    while found and len(nodes) < 10000:
        node = found.pop()
        if node.address not in nodes:
            nodes[node.address] = [values.node_of(x) for x in values.inputs_of(node)]
            found += [x for x in nodes[node.address] if x]
            depth[node.address] = (node["id"].integer(), node)
    youngest_first = sorted(depth, key=lambda address: -depth[address][0])
    indent = {}
    for i, address in enumerate(youngest_first):
        node, inputs = depth[address][1], [x for x in nodes.get(address, []) if x]
        for x in inputs:
            indent[x.address] = max(indent.get(x.address, 0), indent.get(address, 0) + 1)
        arrow = " <- " + ", ".join(f"#{x['id'].integer()}" for x in inputs) if inputs else ""
        print("  " * min(indent.get(address, 0), 20) + values.summary(node) + arrow)
        if i == 199 and len(nodes) > 200:
            print(f"... and {len(nodes) - 200} more")
            return


@command("grad", gdb.COMPLETE_EXPRESSION)
def grad(expression):
    """The gradient that backward() has left in a leaf: gw grad EXPR

A row-sparse one shows its ids and, row by row, the numbers that belong to them."""
    node = tensor_named(expression, "grad")
    if not node["leaf"].flag():
        print(f"{values.label(node)} is no leaf, and only leaves keep a gradient; "
              "gw waiting shows the others on the way")
        return
    g = values.grad_of(node)
    print(f"{values.label(node)}: {values.summary(g) if g else 'none'}")
    if g and values.held(g).name == "gradwalk::RowSparse":
        g = values.held(g)
        ids = values.Numbers(g.at(g["rows"]["ids_"].pointer(), "gradwalk::Indices"))
        rows = values.Numbers(values.node_of(g["values"])["value"])
        width = rows.size // ids.size if ids.size else 0
        for i, id in enumerate(ids.read(0, min(ids.size, 20))):
            shown = [values.show(x) for x in rows.read(i * width, min(width, 8))]
            print(f"  row {id}: {{{', '.join(shown + ['...'] * (width > 8))}}}")
        if ids.size > 20:
            print(f"  ... and {ids.size - 20} more")


def frames():
    frame = gdb.newest_frame()
    while frame is not None:
        yield frame
        frame = frame.older()


@command("waiting")
def waiting(_):
    """What the engine's walk still has waiting, youngest first, with what has arrived so far.

The first one is next. An op's dy is complete once it is the youngest, and not before."""
    now = None
    for frame in frames() if gdb.selected_thread() else []:
        name = frame.name() or ""
        if name.startswith("gradwalk::apply_rule") and now is None:
            now = values.summary(object_of(frame.read_var("y")))
        if not name.startswith("gradwalk::walk<"):
            continue
        entries = values.waiting(object_of(frame.read_var("waiting")))
        if now:
            print(f"has its turn: {now}")
        for tensor, sum in entries[:100]:
            node = values.node_of(tensor)
            print(f"{values.label(node) if node else 'new'}: {values.summary(sum)}")
        if not entries:
            print("nothing is waiting")
        return
    raise gdb.GdbError("gw waiting: the engine is not walking; try it at gw next-rule")


def go():
    """run, or continue; the text that gdb shows meanwhile."""
    gdb.execute("continue" if gdb.selected_thread() else "run")


class Stop(gdb.Breakpoint):
    """Ours: without a number, and on only while a command goes on."""

    def __init__(self, where, when=None):
        super().__init__(where, internal=True)
        self.enabled, self.silent, self.when, self.hit = False, True, when, False

    def stop(self):
        try:
            self.hit = self.when() if self.when else True
        except (values.Unreadable, gdb.error, ValueError) as e:
            self.hit = f"what is here cannot be read: {e}"
        return bool(self.hit)


def go_to(stops):
    """Goes on to one of these, and returns what it said; None if something else stopped first."""
    if Debugger.type("gradwalk::Node") is None:
        raise values.Unreadable("the program must be built with -O0 -g, as ./run debug does")
    for stop in stops:
        stop.enabled, stop.hit = True, False
    try:
        go()
    finally:
        for stop in stops:
            if stop.is_valid():
                stop.enabled = False
    return next((stop.hit for stop in stops if stop.is_valid() and stop.hit), None)


made = {}


def stops(kind, make):
    """Made once, when first needed: then the program's symbols are there."""
    if kind not in made:
        made[kind] = make()
    return made[kind]


def op_functions():
    """A stop for each function in core/ops that returns a tensor, or tensors."""
    found = []
    folder = os.path.join(root, "core", "ops")
    for file in sorted(f for f in os.listdir(folder) if f.endswith(".cpp")):
        try:
            symtab = gdb.decode_line(f"core/ops/{file}:1")[1][0].symtab
        except gdb.error:  # not in this program
            continue
        for symbol in symtab.global_block():
            if symbol.is_function and symbol.symtab.filename.endswith(file) and re.match(
                    r"gradwalk::(Tensor|Tensors)$|std::vector<gradwalk::Tensor",
                    Debugger.name(symbol.type.target())):
                found.append(Stop(f"{symbol.symtab.filename}:{symbol.line}"))
    return found


@command("next-op")
def next_op(_):
    """Goes on to the next op: into its function in core/ops, before its loop."""
    if go_to(stops("op", op_functions)):
        gdb.execute("frame")


@command("next-rule")
def next_rule(_):
    """Goes on to the next derivative rule: apply_rule() in core/autograd.cpp, before the rule runs.

Shows whose rule it is and the dy that has arrived. gw into then steps into the rule itself, once
`next` has led to the line that calls it."""
    if go_to(stops("rule", lambda: [Stop("gradwalk::apply_rule")])):
        frame = gdb.newest_frame()
        print(f"rule of {values.summary(object_of(frame.read_var('y')))}")
        print(f"dy = {values.summary(object_of(frame.read_var('finished')))}")


def quietly(command):  # to_string alone lets a stop's line through at the prompt
    def notifications(off):
        try:
            gdb.execute(f"set suppress-cli-notifications {off}")
        except gdb.error:  # gdb before 13
            pass
    notifications("on")
    try:
        gdb.execute(command, to_string=True)
    finally:
        notifications("off")


@command("into")
def into(_):
    """Steps into the next function of the project, also through a std::function.

In apply_rule() that is the rule. A plain `step` passes over the standard library, and over what
it calls."""
    frame = gdb.selected_frame()
    if (frame.name() or "").startswith("gradwalk::apply_rule"):
        node = values.node_of(object_of(frame.read_var("y")))
        rule = node["rule"]["_M_invoker"].pointer() or node["rule_of_many"]["_M_invoker"].pointer()
        if not go_to([Stop(f"*{rule}")]):
            return
    function, depth = gdb.newest_frame().name(), sum(1 for _ in frames())
    gdb.execute("skip disable", to_string=True)
    try:
        for _ in range(200):
            quietly("step")
            frame = gdb.newest_frame()
            moved = frame.name() != function or sum(1 for _ in frames()) < depth
            if moved and not is_outside(frame):
                break
    finally:
        gdb.execute("skip enable", to_string=True)
    gdb.execute("frame")


def bad_op():  # each output passes Node::made_by()
    node = object_of(gdb.newest_frame().read_var("this").dereference())
    return values.first_bad(node["value"])


def bad_rule():
    frame = gdb.newest_frame()
    partials = object_of(frame.read_var("partials"))
    for i, dx in enumerate(values.items(partials)):
        bad = values.first_bad(dx)
        if bad:
            node = values.node_of(object_of(frame.read_var("node")))
            x = values.summary(values.inputs_of(node)[i])
            return f"the rule of {values.label(node)} makes {bad} in the gradient of\n  {x}"
    return False


def bad_sum():
    frame = gdb.newest_frame()
    bad = values.first_bad(object_of(frame.read_var("finished")))
    y = values.summary(object_of(frame.read_var("y")))
    return bad and f"the gradients that arrived at {y}\n  add up to {bad}"


@command("until-nan")
def until_nan(_):
    """Goes on to the first op, or derivative rule, whose result holds a NaN or an infinity.

Says which element that is, and the inputs: an infinity may have been put there on purpose. Each
result is read, so that the program is slow meanwhile."""
    said = go_to(stops("nan", lambda: [
        Stop("gradwalk::Node::made_by", bad_op), Stop("gradwalk::check_partials", bad_rule),
        Stop("gradwalk::apply_rule", bad_sum)]))
    if not said:
        return
    frame = gdb.newest_frame()
    if frame.name().startswith("gradwalk::Node::made_by"):
        quietly("next 2")  # past op and inputs
        node = object_of(gdb.newest_frame().read_var("this").dereference())
        said = f"{said} in {values.summary(node)}, made from"
        inputs = values.inputs_of(node)
        if not values.Numbers(values.node_of(inputs[0])["value"]).size:  # one of several outputs
            inputs = values.inputs_of(values.node_of(inputs[0])) or inputs
        said += "".join("\n  " + values.summary(x) for x in inputs)
        frame = gdb.newest_frame()
        while re.match(r"gradwalk::(Node::made_by|record|record_many)\b", frame.name()):
            frame = frame.older()
        frame.select()  # the op
    elif frame.name().startswith("gradwalk::check_partials"):
        frame.older().select()
    print(said)
    gdb.execute("frame")
