"""``processes``: the route that lists the node's processes and the calls that each carries."""

from fastapi import APIRouter

from b2bua.web.api.context import Api
from b2bua.web.api.errors import responses
from b2bua.web.api.process_list import ProcessList

__all__ = ["router"]

router = APIRouter(tags=["Node"])


@router.get("/processes", responses=responses())
async def list_processes(api: Api) -> ProcessList:
    """List the processes of this node, with the calls that each carries."""
    return ProcessList(processes=api.processes.running())
