"""Validates the exports of packs with other people's tools: NIST's schema, compliance-trestle, ocsf-json-schema, py-ocsf-models."""

import json
import sys
import tempfile
import zipfile
from pathlib import Path

import jsonschema_rs
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from py_ocsf_models.events.findings.compliance_finding import ComplianceFinding
from trestle.oscal.assessment_results import AssessmentResults

SCHEMA = Path(__file__).parent.parent / "samples/schemas/oscal-assessment-results-1.2.1.json"


def check(pack: Path, oscal_schema, ocsf_schema) -> None:
    files = zipfile.ZipFile(pack)
    raw = files.read("oscal/assessment-results.json")
    for error in oscal_schema.iter_errors(json.loads(raw)):
        raise SystemExit(f"{pack}: oscal: {error.instance_path}: {error.message}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "assessment-results.json")
        path.write_bytes(raw)
        results = AssessmentResults.oscal_read(path).results
    findings = json.loads(files.read("ocsf/compliance-findings.json"))
    for finding in findings:
        for error in ocsf_schema.iter_errors(finding):
            raise SystemExit(f"{pack}: ocsf: {error.instance_path}: {error.message}")
        ComplianceFinding.model_validate(finding)
    print(f"{pack.name}: {len(results[0].observations or [])} observations, {len(results[0].findings or [])} findings, {len(findings)} OCSF findings")


def main(packs: list[str]) -> None:
    oscal_schema = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))
    ocsf = OcsfJsonSchemaEmbedded(get_ocsf_schema("1.6.0"))
    ocsf_schema = jsonschema_rs.validator_for(ocsf.get_class_schema("compliance_finding", profiles=["datetime"]))
    if not packs:
        raise SystemExit("give the packs whose exports are to be validated")
    for pack in packs:
        check(Path(pack), oscal_schema, ocsf_schema)


main(sys.argv[1:])
