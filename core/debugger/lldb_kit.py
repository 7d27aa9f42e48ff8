"""lldb's kit: `command script import core/debugger/lldb_kit.py`.

`frame variable y` shows a tensor, array, gradient or module as one line; `frame variable --raw y`
the bare members. (No lldb.py: lldb would take it for its own module.)
"""

import importlib.util
import os
import sys

import lldb

here = os.path.dirname(os.path.realpath(__file__))
sys.dont_write_bytecode = True  # not into the source tree
spec = importlib.util.spec_from_file_location("gradwalk_values", os.path.join(here, "values.py"))
values = importlib.util.module_from_spec(spec)
spec.loader.exec_module(values)


class Debugger:
    """What values.py asks of a debugger."""

    def __init__(self, process):
        self.process = process

    def read(self, address, size):
        error = lldb.SBError()
        data = self.process.ReadMemory(address, size, error)
        if error.Fail():
            raise values.Unreadable(error.GetCString())
        return data

    def type(self, name):
        type = self.process.GetTarget().FindFirstType(name)
        return type if type.IsValid() else None

    @staticmethod
    def plain(type):
        type = type.GetCanonicalType()
        if type.IsReferenceType():
            type = type.GetDereferencedType().GetCanonicalType()
        return type.GetUnqualifiedType()

    def name(self, type):
        return self.plain(type).GetName()

    def size(self, type):
        return self.plain(type).GetByteSize()

    def target(self, type):
        return self.plain(type).GetPointeeType()

    def argument(self, type, i):
        argument = self.plain(type).GetTemplateArgumentType(i)
        if argument.IsValid():
            return argument
        # Those of a std::variant, which are a pack, are in its name only.
        depth, arguments = 0, [""]
        for letter in self.name(type).split("<", 1)[-1][:-1]:
            depth += (letter == "<") - (letter == ">")
            if letter == "," and depth == 0:
                arguments.append("")
            else:
                arguments[-1] += letter
        name = arguments[i].strip() if i < len(arguments) else ""
        return self.type("gradwalk::Tensors" if name.startswith("std::vector") else name)

    def field(self, type, name):
        type = self.plain(type)
        for field in type.fields:
            if field.GetName() == name:
                return field.GetOffsetInBytes(), field.GetType()
        for base in type.bases:
            inner = self.field(base.GetType(), name)
            if inner:
                return base.GetOffsetInBytes() + inner[0], inner[1]
        return None

    def is_module(self, type):
        type = self.plain(type)
        return (type.GetName() == "gradwalk::Module" or
                any(self.is_module(base.GetType()) for base in type.bases))


def summary(value, _):
    value = value.GetNonSyntheticValue()
    if value.GetType().IsReferenceType():
        value = value.Dereference()
    debugger = Debugger(value.GetProcess())
    return values.summary(values.Object(debugger, value.GetLoadAddress(), value.GetType()))


# lldb asks for types by name: a module of one's own shows its members, and these in them.
MODULES = (r"gradwalk::(Module|Conv1d|Dropout|Embedding|EmbeddingBag|GRU|LayerNorm|Linear|LSTM|RNN|"
           r"Sequential)$")


def __lldb_init_module(debugger, _):
    for name in [MODULES] + [name for name, _, _ in values.TABLE]:
        debugger.HandleCommand(
            f'type summary add -w gradwalk -F {__name__}.summary -x "^({name})"')
    debugger.HandleCommand("type category enable gradwalk")
