"""Whether what a claim's text says is what its contrasts test; nothing of skiplab is imported."""

import re

JOINING = {"and", "but", "while", "than", "yet"}


def words(text):
    return re.findall(r"[\w'’-]+", str(text).casefold())


def sentence_faults(claim, parts):
    """What is wrong with a claim's sentence, each in a line.

    claim: as the claims file has it; parts: its tests with all that they inherit.
    """
    name, faults = claim["name"], []
    quoted = [word for part in parts for word in words(part["says"]) if word not in JOINING]
    if quoted != [word for word in words(claim["text"]) if word not in JOINING]:
        faults.append(f"{name}: its parts are not its text")
    limits = {
        word
        for key, levels in (claim.get("cells") or {}).items()
        for each in (key, *levels)
        for word in str(each).split()
    }
    for part in parts:
        reads = part.get("reads") or {}
        if [word for phrase in reads for word in words(phrase)] != words(part["says"]):
            faults.append(f"{name}: the phrases of reads are not the words {part['says']!r}")
        tested = [part["treatment"], part["metric"], part["contrast"], part["over"] or "", part["direction"]]
        tested += part["mean_over"]
        tested += [] if part["one_arm"] else [part["control"]]
        tested += [f"{float(part['expected']):g}"] if part["direction"] == "equal" else []
        needed = {word for each in tested for word in each.split()}
        stands_for = {word for each in reads.values() for word in str(each).split()}
        if needed - stands_for or stands_for - needed - limits:
            odd = sorted(needed ^ stands_for - limits)
            faults.append(f"{name}: reads and the test of {part['says']!r} differ in {', '.join(odd)}")
    return faults
