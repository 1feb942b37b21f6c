from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.rights import user_of
from iotsite.doctor.examination import examine
from iotsite.doctor.machine import Machine


@never_cache
@require_safe
def doctor(request: HttpRequest) -> HttpResponse:
    """What is right with this site and what is not, for the staff: it tells of folders, programs and people."""
    if not user_of(request).is_staff:
        raise PermissionDenied
    machine = Machine(port=int(request.META["SERVER_PORT"]))
    return render(request, "doctor.html", {"report": examine(machine)})
