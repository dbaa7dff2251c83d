"""``python -m tests.pipeline.graphql_answer``: what the web UI may be told of runs, resources and assets, as JSON."""

import json
import warnings
from pathlib import Path

import dagster as dg
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from starlette.testclient import TestClient

QUERY = """{
  repositoriesOrError { ... on RepositoryConnection { nodes {
    allTopLevelResourceDetails { name configuredValues { key value type } } } } }
  runsOrError { ... on Runs { results { runId runConfigYaml tags { key value } eventConnection { events {
    ... on MessageEvent { message } ... on ExecutionStepFailureEvent { error { message stack } } } } } } }
  assetsOrError { ... on AssetConnection { nodes { key { path } assetMaterializations(limit: 100) { metadataEntries {
    label description ... on TextMetadataEntry { text } ... on MarkdownMetadataEntry { mdStr }
    ... on JsonMetadataEntry { jsonString } ... on PathMetadataEntry { path } } } } } }
}"""


def main() -> None:
    warnings.simplefilter("ignore")
    workspace = WorkspaceFileTarget(paths=[str(Path(__file__).parents[2] / "workspace.yaml")])
    with (
        dg.DagsterInstance.get() as instance,
        WorkspaceProcessContext(instance, workspace) as context,
        TestClient(create_app_from_workspace_process_context(context)) as client,
    ):
        print(json.dumps(client.post("/graphql", json={"query": QUERY}).json()))


if __name__ == "__main__":
    main()
