#!/usr/bin/env python3
"""A bill of materials in CycloneDX 1.5, from `cargo metadata` and Cargo.lock: what is in the functions and in the command. Usage: infra/sbom.py"""

import json
import os
import subprocess
import tomllib

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def shipped(metadata):
    """Ids of the packages that are compiled into something that is shipped: no tests, and nothing that only builds."""
    nodes = {it["id"]: it for it in metadata["resolve"]["nodes"]}
    own = {it["id"] for it in metadata["packages"] if "/functions/" in it["manifest_path"] or it["manifest_path"].endswith("infra/local/Cargo.toml")}
    found, waiting = set(), list(own)
    while waiting:
        package = waiting.pop()
        if package not in found:
            found.add(package)
            waiting += [it["pkg"] for it in nodes[package]["deps"] if any(kind["kind"] is None for kind in it["dep_kinds"])]
    return found


def main():
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    with open(os.path.join(ROOT, "Cargo.lock"), "rb") as file:
        checksums = {(it["name"], it["version"]): it.get("checksum") for it in tomllib.load(file)["package"]}
    wanted = shipped(metadata)
    packages = {it["id"]: it for it in metadata["packages"] if it["id"] in wanted}
    url = {id: f"pkg:cargo/{it['name']}@{it['version']}" for id, it in packages.items()}

    def component(id, it):
        entry = {"type": "library" if it["source"] else "application", "bom-ref": url[id], "name": it["name"], "version": it["version"], "purl": url[id]}
        if it["license"]:
            entry["licenses"] = [{"expression": it["license"].replace("/", " OR ")}]
        checksum = checksums.get((it["name"], it["version"]))
        if checksum:
            entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        return entry

    components = sorted((component(id, it) for id, it in packages.items()), key=lambda it: it["bom-ref"])
    edges = [{"ref": url[it["id"]], "dependsOn": sorted({url[dep] for dep in it["dependencies"] if dep in url})} for it in metadata["resolve"]["nodes"] if it["id"] in url]
    bill = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components, "dependencies": sorted(edges, key=lambda it: it["ref"])}
    print(json.dumps(bill, indent=1))


main()
