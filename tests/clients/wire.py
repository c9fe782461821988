"""The project's messages and services as a stranger gets them: compiled from proto/, or asked from the server by reflection.

Calls are made by the descriptors alone, so that the same program runs on both.
"""

import pathlib
import tempfile
import time

import grpc
import grpc_tools
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"

# Longer than any call takes on a slow, busy machine; it only bounds a hanging test.
PATIENCE = 120

# Larger than any answer.
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def connect(port, compression=None, options=()):
    """A channel of its own to a server on the loopback interface."""
    options = [*UNLIMITED, ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0), *options]
    return grpc.insecure_channel(f"127.0.0.1:{port}", options=options, compression=compression)


def compiled():
    """The descriptors of every file in proto/."""
    files = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    google = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    with tempfile.NamedTemporaryFile() as out:
        command = ["protoc", f"-I{PROTO}", f"-I{google}", "--include_imports", f"--descriptor_set_out={out.name}", *files]
        if protoc.main(command) != 0:
            raise AssertionError("the files in proto/ do not compile")
        whole = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(out.name).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in whole.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def reflected(channel):
    """The descriptors that the server has, and the names of its services."""
    database = ProtoReflectionDescriptorDatabase(channel)
    return descriptor_pool.DescriptorPool(database), sorted(database.get_services())


def message(pool, name):
    """The class of a message."""
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


class Service:
    """A service's methods, by their names."""

    def __init__(self, channel, pool, name):
        for method in pool.FindServiceByName(name).methods:
            kinds = ("stream" if method.client_streaming else "unary", "stream" if method.server_streaming else "unary")
            answer = message_factory.GetMessageClass(method.output_type)
            make = getattr(channel, "_".join(kinds))
            call = make(
                f"/{name}/{method.name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=answer.FromString,
            )
            setattr(self, method.name, call)


def answer(call, *arguments, **options):
    """The answer to a call, which must be OK."""
    return call(*arguments, timeout=PATIENCE, **options)


def refusal(call, *arguments, **options):
    """The error that a call must end with."""
    try:
        result = call(*arguments, timeout=PATIENCE, **options)
        # A streamed answer fails while it is read.
        result = list(result) if hasattr(result, "__next__") else result
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"answered, and not refused: {result}")


def settled(ask, expected):
    """What `ask` gives when it gives what is expected, or after a while: a server tells of a change of its health a moment after it."""
    end = time.monotonic() + 10
    while (found := ask()) != expected and time.monotonic() < end:
        time.sleep(0.05)
    return found
