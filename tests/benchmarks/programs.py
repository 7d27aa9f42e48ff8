"""programs.py FOLDER: times two programs of FOLDER beside fastText, which one would use instead.

Both read the same text, with the same sizes and epochs, on one thread. A time is the processor's, of
a whole process that reads, trains and saves: fastText's main thread looks only every 0.1 s whether
the other one is done. They take turns; the table shows medians of the rounds.
"""

import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

MR = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../../shared/data/mr"))
ROUNDS = 3


def run(command):
    done = subprocess.run(command.split(), env=dict(os.environ, GRADWALK_NUM_THREADS="1"), text=True, stdout=subprocess.PIPE)
    if done.returncode:
        sys.exit(f"bench programs: failed: {command}")
    return done.stdout


def seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def write_texts():
    """The files as both read them, and how many sentences and words they train on."""
    for name in ("train", "dev"):
        shutil.copy(f"{MR}/{name}.tsv", ".")
        with open(f"{name}.tsv", encoding="utf-8") as file:
            lines = [line.split("\t") for line in file]
        with open(f"{name}.fasttext", "w", encoding="utf-8") as file:
            file.writelines(f"__label__{label} {text}" for label, text in lines)
        with open(f"{name}.txt", "w", encoding="utf-8") as file:
            file.writelines(text for _, text in lines)
    with open("train.txt", encoding="utf-8") as file:
        texts = file.readlines()
    return len(texts), sum(len(text.split()) for text in texts)


def measure(name, ours, fasttext, epochs, sizes):
    times = [(seconds(f"{ours} --epochs {epochs}"), seconds(f"{fasttext} -epoch {epochs}")) for _ in range(ROUNDS)]
    medians = [statistics.median(side) for side in zip(*times)]
    each = [1e6 * median / size / epochs for size in sizes for median in medians]
    cells = [f"{x:.3g}" for x in each + [statistics.median(a / b for a, b in times)]]
    print(f"| {name:9} | {cells[0]:>11} | {cells[1]:>8} | {cells[2]:>7} | {cells[3]:>8} | {cells[4]:>9} |", flush=True)


def main(programs):
    sizes = write_texts()
    print("| program   | us/sentence | fastText | us/word | fastText | /fastText |\n"
          "| ---       |        ---: |     ---: |    ---: |     ---: |      ---: |", flush=True)
    measure("sentiment",
            f"{programs}/sentiment train --train train.tsv --dev dev.tsv --save ours.safetensors --model bag"
            " --embedding-dim 100 --min-count 2 --dropout 0",
            "fasttext supervised -input train.fasttext -output fasttext -dim 100 -minCount 2 -thread 1 -verbose 0",
            10, sizes)
    measure("word2vec",
            f"{programs}/word2vec --text train.txt --save ours.txt --dim 100 --min-count 5 --window 5 --negative 5"
            " --subsample 0.001",
            "fasttext skipgram -input train.txt -output vectors -dim 100 -minCount 5 -ws 5 -neg 5 -t 0.001"
            " -minn 0 -maxn 0 -thread 1 -verbose 0", 5, sizes)
    ours = run(f"{programs}/sentiment evaluate --model ours.safetensors --data dev.tsv")
    fasttext = run("fasttext test fasttext.bin dev.fasttext")
    print("\naccuracy of sentiment {:.3f}, of fastText {:.3f}".format(
        *(float(re.search(r"(?:accuracy|P@1)\s+(\S+)", text)[1]) for text in (ours, fasttext))))


if not os.path.exists(MR):
    print(f"skipped: there is no {MR}")
elif not shutil.which("fasttext"):
    sys.exit("bench programs: there is no fasttext (Debian: fasttext)")
else:
    with tempfile.TemporaryDirectory() as here:
        programs = os.path.realpath(sys.argv[1])
        os.chdir(here)
        main(programs)
