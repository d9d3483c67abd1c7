#!/usr/bin/env python3
"""An ICE agent that is not ours: libnice, listening for ICE-TCP (RFC 6544, passive) on one port, until SIGTERM.

  ice_tcp.py ADDR PORT UFRAG PWD

Prints "ready" once it listens. libnice answers Binding requests that know its password; the others it refuses or drops.
"""

import ctypes
import sys

COMPONENT = 1


def main():
    addr, port, ufrag, pwd = (arg.encode() for arg in sys.argv[1:5])
    nice = ctypes.CDLL("libnice.so.10")
    glib = ctypes.CDLL("libglib-2.0.so.0")
    gobject = ctypes.CDLL("libgobject-2.0.so.0")
    pointer = ctypes.c_void_p
    for function in (nice.nice_agent_new, nice.nice_address_new, glib.g_main_context_default, glib.g_main_loop_new):
        function.restype = pointer
    received = ctypes.CFUNCTYPE(None, pointer, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, pointer, pointer)
    ignore = received(lambda *_: None)

    context = pointer(glib.g_main_context_default())
    agent = pointer(nice.nice_agent_new(context, 0))  # NICE_COMPATIBILITY_RFC5245
    for name, value in ((b"ice-udp", 0), (b"ice-tcp", 1), (b"upnp", 0), (b"controlling-mode", 0)):
        gobject.g_object_set(agent, name, ctypes.c_int(value), None)
    local = pointer(nice.nice_address_new())
    if not nice.nice_address_set_from_string(local, addr):
        sys.exit(f"{addr.decode()} is not an address")
    nice.nice_agent_add_local_address(agent, local)
    stream = nice.nice_agent_add_stream(agent, 1)
    nice.nice_agent_set_port_range(agent, stream, COMPONENT, int(port), int(port))
    if not nice.nice_agent_set_local_credentials(agent, stream, ufrag, pwd):
        sys.exit("libnice does not take the credentials")
    nice.nice_agent_attach_recv(agent, stream, COMPONENT, context, ignore, None)
    if not nice.nice_agent_gather_candidates(agent, stream):
        sys.exit(f"libnice cannot listen on port {int(port)}")
    print("ready", flush=True)
    glib.g_main_loop_run(pointer(glib.g_main_loop_new(context, 0)))


main()
