#!/usr/bin/env python3
"""Builds the site: the pages of docs/, one for each public header, and the landing page.

    build.py PROGRAM OUT     PROGRAM is first_model, built; the site goes to OUT
    build.py --filter FILE   a header as doxygen is to see it

PROGRAM is run, and what it prints and the page that it writes become part of the landing page.
Pages are gathered in OUT-pages, with links to files of the repository led to pages that show them.
Exits 1 if a public symbol has no comment, a layer no source or no word of what it throws, or Sphinx
has a complaint; and 77 without the tools.
"""
import html
import os
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

docs = pathlib.Path(__file__).resolve().parent.parent
root = docs.parent
FOLDERS = {
    "core": "Tensors, ops, the engine, and what watches them",
    "layers": "Layers, losses, state dicts and word vectors",
    "optim": "Optimizers and learning rates",
}


# ---- comments, for doxygen ----

TRAILING = "//<"  # begins a comment that speaks for its line alone


def filtered(text):
    """`//` comments above a declaration, and those at its end, as doxygen wants them; each line
    stays where it was. The first comment is the file's own, and is read elsewhere."""
    lines, out, i = text.split("\n"), [], 0
    while i < len(lines) and lines[i].startswith("//"):
        out.append("")
        i += 1
    while i < len(lines):
        block = []
        while i < len(lines) and re.match(r" *//", lines[i]):
            block.append(lines[i])
            i += 1
        while block and re.match(r" *// ----", block[0]):  # a heading
            out.append(block.pop(0))
        if block and i < len(lines) and re.match(r" *[\w\[~:]|#if", lines[i]) \
                and not re.match(r" *(public|private|protected):|namespace", lines[i]):
            block = [re.sub(r"^ *// ?", "", line).replace("*/", "* /") for line in block]
            while re.match(r"(class|struct) \w+;", lines[i]):  # names alone: the comment is for what follows
                out.append(lines[i])
                i += 1
            block[0] = "/** @verbatim " + block[0]
            block[-1] += " @endverbatim */"
        out += block
        if i == len(lines):
            break
        end = re.match(r"(.*[;,}] *)// ?(?!namespace)(.*)$", lines[i])
        more = []  # the lines below that go on with it
        while end and i + 1 < len(lines) and lines[i + 1].startswith(" " * len(end[1]) + "//"):
            i += 1
            more.append(lines[i].strip(" /"))
        if end and re.match(r" *enum .*}", end[1]):  # doxygen wants it in front
            out.append(f"/** @verbatim {end[2]} @endverbatim */ {end[1]}")
            i += 1
            continue
        out.append(f"{end[1]} ///< @verbatim {TRAILING}{' '.join([end[2]] + more)} @endverbatim" if end else lines[i])
        out += [""] * len(more)
        i += 1
    return "\n".join(out)


# ---- comments, as reStructuredText ----

def escaped(text):
    """Prose: `code` and [shapes] are set as code."""
    out = []
    for part in re.split(r"(`[^`]+`|[\w.']*\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]|\b\w+(?:::\w+)*\(\))", text):
        if part.startswith("`") or (part.endswith(("]", ")")) and re.search(r"\[|\(\)", part)):
            code = part.strip("`")
            out.append(rf"\ ``{code}``\ " if code == code.strip() else rf"\ ``{code.strip()}``\ ")
        else:
            out.append(re.sub(r"([\\*_|`])", r"\\\1", part))
    return "".join(out).strip()


def as_rst(comment, indent=""):
    """A comment as paragraphs, formulas and links. A line is part of a formula if it is indented,
    has a gap of three blanks, or begins as an equation; so is what follows, up to a sentence."""
    blocks = []  # [kind, lines]

    def add(kind, line):
        if blocks and blocks[-1][0] == kind:
            blocks[-1][1].append(line)
        else:
            blocks.append([kind, [line]])

    for line in comment.split("\n"):
        text = line.strip()
        last = blocks[-1][0] if blocks else None
        link = re.fullmatch(r"\(?(https?://\S+?)\)?", text)
        if not text:
            blocks.append(["", []])
        elif link:
            name = re.sub(r"\.html$", "", link[1].split("/")[-1])
            blocks.append(["text", [f"PyTorch: `{name} <{link[1]}>`__" if "pytorch.org" in link[1] else
                                    f"`{link[1]} <{link[1]}>`__"]])
            blocks.append(["", []])
        elif (line.startswith("  ") or re.search(r"\S   +\S", line)
              or (not (last == "text" and blocks[-1][1][-1][-1] not in ".:;")
                  and re.match(r"[\w'.]+(\[[^\]]*\]|\([^)]*\))? (\+|-|\*)?= ", text))
              or (last == "formula" and not re.match(r"[A-Z][a-z]* [a-z]|\(", text))):
            add("formula", line.rstrip())
        else:
            add("text", escaped(re.sub(r"https?://\S+", lambda m: m[0], text)))
    out = []
    for kind, lines in blocks:
        if kind == "text":
            text = " ".join(lines)
            out.append(indent + ("\\" + text if re.match(r"[-+*] |\w+[.)] |::|\.\. ", text) else text) + "\n")
        elif kind:
            table = " table-of" if len(lines) > 2 and any(re.search(r"\S   +\S", line) for line in lines) else ""
            out.append(f"{indent}.. code-block:: none\n   {indent}:class: formula{table}\n")
            out += [f"{indent}   {line}" for line in lines]
            out.append("")
    return "\n".join(out)


# ---- symbols ----

class Symbol:
    def __init__(self, node, kind, signature):
        self.kind, self.signature, self.children = kind, signature, []
        self.name = node.findtext("name") or node.findtext("compoundname").split("::")[-1]
        place = node.find("location")
        self.file, self.line = root / place.get("file"), int(place.get("line"))
        self.prot = node.get("prot", "public")
        texts = [v.text for part in ("briefdescription", "detaileddescription")
                 for v in (node.find(part).iter("verbatim") if node.find(part) is not None else ())]
        comment = "\n".join(t.removeprefix(" ").rstrip() for t in texts)
        self.trailing = comment.startswith(TRAILING)
        self.comment = comment.removeprefix(TRAILING).replace("\n" + TRAILING, "\n\n")  # below one above


def text_of(node):
    return "" if node is None else re.sub(r"\s+", " ", "".join(node.itertext())).strip()


def template(node):
    params = node.find("templateparamlist")
    if params is None:
        return ""
    parts = []
    for p in params.iter("param"):
        part = f"{text_of(p.find('type'))} {text_of(p.find('declname'))}".strip()
        value = text_of(p.find("defval"))
        parts.append(part + (f" = {value}" if value else ""))
    return f"template<{', '.join(parts)}> "


def member(node):
    """A symbol, or None for what needs no entry: a destructor, what is deleted or overrides."""
    kind, name, args = node.get("kind"), node.findtext("name"), node.findtext("argsstring") or ""
    kind_of = {"function": "function", "variable": "member", "typedef": "type", "enum": "enum-class",
               "friend": "function"}.get(kind)
    type_ = re.sub(r"^(friend|constexpr|inline|static|virtual) ", "", text_of(node.find("type")))
    if kind_of is None or name.startswith("~") or not name or (kind == "friend" and not args):
        return None
    if kind_of == "function":
        if re.search(r"= ?delete", args) or " override" in args:
            return None
        args = re.sub(r"\s*= ?(default|0)$", "", args)
        words = [w for w in ("static", "explicit") if node.get(w) == "yes"]
        words += ["virtual"] if "virtual" in (node.get("virt") or "").split("-")[-1:] and node.get("virt") != "non-virtual" else []
        words += ["friend"] if kind == "friend" else []
        signature = f"{template(node)}{' '.join(words)} {type_} {name}{args}"
    elif kind_of == "member":
        value = text_of(node.find("initializer"))
        static = "static " if node.get("static") == "yes" else ""
        signature = f"{static}{type_} {name}{args} {'' if value.startswith(('=', '{')) or not value else '= '}{value}"
    elif kind_of == "type":
        signature = f"{template(node)}{name} = {type_}{args}"
    else:
        signature = name
    symbol = Symbol(node, kind_of, re.sub(r"\s+", " ", signature).strip())
    if kind == "enum":
        for value in node.iter("enumvalue"):
            value.append(node.find("location"))
            symbol.children.append(Symbol(value, "enumerator", value.findtext("name")))
    return symbol


def read_symbols(folder):
    """Of the namespace: functions, types and classes, with what is public or protected in them."""
    classes, top = {}, []
    for file in sorted(folder.glob("*.xml")):
        for node in ET.parse(file).getroot().iter("compounddef"):
            if node.get("kind") not in ("namespace", "class", "struct"):
                continue
            found = [member(m) for m in node.iter("memberdef") if m.get("prot") != "private"]
            found = [m for m in found if m]
            if node.get("kind") == "namespace":
                top += found
                continue
            full = node.findtext("compoundname")
            bases = [text_of(b) for b in node.findall("basecompoundref") if b.get("prot") == "public"]
            own = Symbol(node, node.get("kind"), template(node) + full.split("::")[-1]
                         + (" : public " + ", public ".join(bases) if bases else ""))
            own.children = found
            classes[full] = own
    for full, own in classes.items():
        if own.prot == "private":
            continue
        outer = classes.get(full.rpartition("::")[0])
        (outer.children if outer else top).append(own)
    return top


def runs(symbols, lines):
    """Declarations, line below line without a blank one between."""
    out, last = [], None
    for s in sorted(symbols, key=lambda s: s.line):
        between = lines[last.line:s.line - 1] if last else [""]
        if all(re.match(r"\s*\S", line) and not re.match(r" ?\w+:$|// ----", line) for line in between):
            out[-1].append(s)
        else:
            out.append([s])
        last = s
    return out


def entries(run):
    """Those of one kind that share a comment above the first of them."""
    out = []
    for s in run:
        last = out[-1][-1] if out else None
        if last and s.kind == last.kind and s.kind in ("function", "member", "type") \
                and not s.comment and not last.trailing:
            out[-1].append(s)
        else:
            out.append([s])
    return out


def write_members(symbols, lines, out, missing, place="", covered=lambda s: False, depth=0):
    """A comment is missing where a run has none at all and no symbol that is `covered` otherwise;
    an overload is covered by the first one."""
    indent, named, heading = "   " * depth, {s.name for s in symbols if s.comment}, None
    for run in runs(symbols, lines):
        if not any(s.comment or s.name in named or covered(s) or any(c.comment for c in s.children) for s in run):
            missing += [f"{s.file.relative_to(root)}:{s.line}: {place}{s.name} has no comment" for s in run]
        above = [m[1] for m in (re.match(r"// ---- (.*) ----", line) for line in lines[:run[0].line]) if m]
        if depth == 0 and above and above[-1] != heading:
            heading = above[-1]
            out.append("\n" + title(heading, "-"))
        for entry in entries(run):
            first = entry[0]
            directive = f"{indent}.. cpp:{first.kind}:: "
            out.append(directive + ("\n" + " " * len(directive)).join(s.signature for s in entry) + "\n")
            out.append(as_rst(first.comment, indent + "   "))
            if first.kind in ("class", "struct"):
                def of_class(s, name=first.name):
                    return s.kind == "member" or s.name in (name, "operator()")
                write_members(first.children, lines, out, missing, f"{place}{first.name}::", of_class, depth + 1)
            for value in first.children if first.kind == "enum-class" else ():
                out.append(f"{indent}   .. cpp:enumerator:: {value.name}\n\n" + as_rst(value.comment, indent + " " * 6))


def heading_of(lines):
    end = next((i for i, line in enumerate(lines) if not line.startswith("//")), len(lines))
    return "\n".join(re.sub("^// ?", "", line) for line in lines[:end])


def title(text, mark="="):
    return f"{text}\n{mark * len(text)}\n"


def incomplete(symbols, heading):
    """A layer or loss must name its source and say what it throws, itself or in the file's heading.
    It is called, or recurrent; what only others derive from is none, nor is what ./run new wrote."""
    for s in symbols:
        called = any(c.name == "operator()" for c in s.children) or "::RecurrentLayer" in s.signature
        base = any(c.name == s.name and c.prot == "protected" for c in s.children)
        if not called or base or (root / f"tests/own/layer_{s.file.stem}.cpp").exists():
            continue
        for what, pattern in (("link to its source", "https://"), ("word of what it throws", r"\b[Tt]hrow")):
            if not re.search(pattern, s.comment) and not re.search(pattern, heading):
                yield f"{s.file.relative_to(root)}:{s.line}: {s.name} has no {what}"


def write_api(pages, symbols):
    """A page for each header; returns what is missing in comments."""
    missing, by_file = [], {}
    for s in symbols:
        by_file.setdefault(s.file.relative_to(root), []).append(s)
    umbrella = (root / "core/core.hpp").read_text()
    index = {folder: [] for folder in FOLDERS}
    for file in sorted(by_file):
        if file.parts[:2] == ("core", "machine") and f'"{file}"' not in umbrella:
            continue  # what only makes it fast
        lines = (root / file).read_text().split("\n")
        heading, out = heading_of(lines), []
        if file.parts[0] == "layers":
            missing += incomplete(by_file[file], heading)

        def in_heading(s, heading=heading):  # "A Tensor is a handle ..." speaks for Tensor
            return re.search(rf"\b{re.escape(s.name)}\b", heading)
        write_members(by_file[file], lines, out, missing, covered=in_heading)
        page = pages / "api" / file
        page = page.with_name(page.name + ".rst")
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(title(str(file)) + "\n" + as_rst(heading) +
                        f"\n:doc:`The header itself </source/{file}>`\n\n.. cpp:namespace:: gradwalk\n\n" + "\n".join(out))
        first = re.match(r"[^\n]*?(?:\n[^\n]+?)*?[.:](?=\s|$)|[^\n]*", heading)[0].replace("\n", " ").rstrip(".:")
        index[file.parts[0]].append(f"- :doc:`{file} </api/{file}>`: {escaped(first)}")
        write_source(pages, str(file))
    for folder, about in FOLDERS.items():
        names = [re.search("<(.*?)>", line)[1] for line in index[folder]]
        (pages / "api" / f"{folder}.rst").write_text(
            title(f"{folder}/") + f"\n{about}.\n\n" + "\n".join(index[folder]) +
            "\n\n.. toctree::\n   :hidden:\n\n   " + "\n   ".join(names) + "\n")
    return missing


# ---- pages ----

LANGUAGES = {".hpp": "cpp", ".cpp": "cpp", ".py": "python", ".md": "markdown", ".txt": "cmake", ".cmake": "cmake"}


def write_source(pages, name):
    page = pages / "source" / (name + ".rst")
    if not page.exists():
        page.parent.mkdir(parents=True, exist_ok=True)
        language = LANGUAGES.get(pathlib.Path(name).suffix, "sh" if name == "run" else "text")
        page.write_text(":orphan:\n\n" + title(name) + f"\n.. literalinclude:: {os.path.relpath(root / name, page.parent)}\n"
                        f"   :language: {language}\n   :linenos:\n")


def lead(pages, page, text):
    """Links out of docs/ to a page that shows the file; to a folder, or nowhere: the words alone."""
    def to(match):
        words, target, anchor = match[1], match[2], match[3] or ""
        path = (page.parent / target).resolve()
        if path == docs / "README.md" or path == root / "README.md":
            return f"[{words}]({os.path.relpath(docs / 'index', page.parent)}.rst)"
        if docs in path.parents or not path.is_relative_to(root):
            return match[0]
        if not path.is_file():
            return words if path.is_dir() else match[0]
        write_source(pages, str(path.relative_to(root)))
        return f"[{words}]({os.path.relpath(docs / 'source' / path.relative_to(root), page.parent)}.rst)"

    parts = re.split(r"(^```.*?^```|`[^`\n]+`(?!\]))", text, flags=re.M | re.S)  # code stays as it is
    return "".join(part if i % 2 else re.sub(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#:]+)(#[^)\s]*)?\)", to, part)
                   for i, part in enumerate(parts))


def contents():
    """The pages in the order of docs/README.md, by its sections: [(title, [page])]."""
    sections, seen = [], set()
    for line in (docs / "README.md").read_text().split("\n"):
        heading = re.match(r"##+ (.*)", line) or re.match(r"(\w[^,:]*).*:$", line)
        if heading:
            sections.append((heading[1], []))
        for name in re.findall(r"\]\(([\w./-]+)\.md\)", line):
            if name not in seen and (docs / f"{name}.md").is_file():
                seen.add(name)
                sections[-1][1].append(name)
    others = sorted(p.stem for p in docs.glob("*.md") if p.stem not in seen and p.stem != "README")
    sections[-1][1].extend(others)
    return [s for s in sections if s[1]]


def write_pages(pages, printed):
    for file in docs.rglob("*"):
        name = file.relative_to(docs)
        if not file.is_file() or name.parts[0] == "site" or str(name) == "README.md":
            continue
        if file.suffix == ".md":
            to = pages / name
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_text(lead(pages, file, file.read_text()))
        elif file.suffix in (".svg", ".png", ".jpg"):
            for to in (pages / name, pages / "extra" / name):  # the second for <img> in HTML
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, to)
    sections = contents()
    names = [name for _, section in sections for name in section]

    def find(word):
        return next((n for n in names if word in n), names[0])
    index = (docs / "site/index.rst").read_text()
    for word in re.findall(r"@page:([\w-]*)@", index):
        index = index.replace(f"@page:{word}@", f"/{find(word)}")
    index = index.replace("@program@", os.path.relpath(root / "examples/first_model.cpp", pages))
    index = index.replace("@printed@", printed.strip().replace("\n", "\n   "))
    for caption, section in sections + [("API", [f"api/{folder}" for folder in FOLDERS])]:
        index += f"\n.. toctree::\n   :hidden:\n   :caption: {caption}\n\n   " + "\n   ".join(section) + "\n"
    (pages / "index.rst").write_text(index)


def mend(static):
    """What Debian's furo 2022.12 needs to work from file: without a web server; others stay as they are."""
    css, script = static / "styles/furo.css", static / "scripts/furo.js"
    text = css.read_text()
    text = re.sub(r"@import url\((/javascript/[^)]*)\);",
                  lambda m: pathlib.Path("/usr/share" + m[1]).read_text() if os.path.exists("/usr/share" + m[1]) else "", text)
    dark = re.search(r'body\[data-theme="dark"\] (\{[^{}]*\})', text)
    if dark and "prefers-color-scheme" not in text:  # its compiler has lost this rule
        text += '\n@media (prefers-color-scheme: dark) { body:not([data-theme="light"]) ' + dark[1] + " }\n"
    css.write_text(text)
    text = script.read_text()
    needs = re.match(r'import \w+ from "\./([\w.-]+)";', text)  # a browser takes no modules from file:
    if needs:
        script.write_text((static / "scripts" / needs[1]).read_text() + text[needs.end():])


def main():
    if sys.argv[1:2] == ["--filter"]:
        sys.stdout.write(filtered(pathlib.Path(sys.argv[2]).read_text()))
        return 0
    program, out = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
    for tool, module in (("doxygen", None), ("sphinx-build", "sphinx"), ("furo", "furo"), ("myst-parser", "myst_parser")):
        if not (shutil.which(tool) if module is None else
                subprocess.run([sys.executable, "-c", f"import {module}"], stderr=subprocess.DEVNULL).returncode == 0):
            print(f"skipped: there is no {tool}")
            return 77
    pages = out.with_name(out.name + "-pages")
    for folder in (pages, out):
        shutil.rmtree(folder, ignore_errors=True)
    (pages / "extra").mkdir(parents=True)
    step = pages / "extra/first_model.html"
    printed = subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True).stdout
    if "loss" not in printed:
        sys.exit(f"{program}: prints no loss")
    # to write its page it ends after the first step
    subprocess.run([program], env={**os.environ, "GRADWALK_SEE": str(step)}, check=True)
    printed = "\n".join(line for line in printed.split("\n") if line.startswith("step "))
    script = pathlib.Path(__file__).resolve()
    settings = (docs / "Doxyfile").read_text() + "".join(f'\n{k} = "{v}"' for k, v in {
        "OUTPUT_DIRECTORY": pages / "doxygen", "STRIP_FROM_PATH": root}.items())
    settings += "\nINPUT = " + " ".join(f'"{root / folder}"' for folder in FOLDERS)
    settings += f'\nINPUT_FILTER = "\\"{sys.executable}\\" -B \\"{script}\\" --filter"\n'
    (pages / "doxygen").mkdir()
    subprocess.run(["doxygen", "-"], input=settings, text=True, check=True, cwd=pages)
    missing = write_api(pages, read_symbols(pages / "doxygen/xml"))
    shutil.rmtree(pages / "doxygen")
    write_pages(pages, printed)
    for line in missing:
        print(line, file=sys.stderr)
    sphinx = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-j", "auto", "-b", "html",
                             "-c", docs,
                             "-D", f"html_extra_path={pages / 'extra'}", "-d", pages / ".doctrees", pages, out])
    if (out / "_static/styles/furo.css").exists():
        mend(out / "_static")
    return 1 if missing or sphinx.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
