"""What is relied on of Dagster without a public name is there, under the names by which it is used."""

from dagster import DagsterInstance

from genome_pipeline.orchestration import internals


def test_tags_are_those_that_the_server_writes() -> None:
    assert internals.RUN_KEY_TAG == "dagster/run_key"
    assert internals.PARENT_RUN_ID_TAG == "dagster/parent_run_id"


def test_what_is_replaced_is_there() -> None:
    assert callable(vars(vars(internals)["sqlite_event_log"])["create_engine"])
    assert callable(internals.dev_module().open_ipc_subprocess)
    assert callable(internals.dev_module().dev_command)
    assert callable(internals.webserver_module().create_app_from_workspace_process_context)


def test_a_run_id_is_new_each_time() -> None:
    assert internals.make_new_run_id() != internals.make_new_run_id()


def test_an_instance_may_be_of_another_class() -> None:
    assert {"run_storage", "schedule_storage"} <= internals.InstanceRef.config_defaults("/nowhere").keys()
    assert callable(DagsterInstance.handle_new_event)
