"""Knows nothing but the port: asks for the services and their messages by reflection, and writes and reads with what it was told.

What the server tells of its messages must be what proto/ says. Arguments: the port, and the services that there must be.
"""

import sys

import made
import wire
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2
from talk import equal, tell


def services_by_v1(channel):
    """The names of the services by the newer version of reflection, whose messages are those of the older one."""
    call = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = list(call(iter([request]), timeout=wire.PATIENCE))
    equal(len(answers), 1, "answers to one question")
    return sorted(service.name for service in answers[0].list_services_response.service)


def files_of(pool, services):
    """The files that these services need, by their names."""
    found = {}

    def add(file):
        if file.name not in found:
            found[file.name] = file
            for needed in file.dependencies:
                add(needed)

    for service in services:
        add(pool.FindServiceByName(service).file)
    return found


def plain(file):
    """A file's description without what compilers add or leave out as they like."""
    description = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(description)
    description.ClearField("source_code_info")
    messages = list(description.message_type)
    while messages:
        message = messages.pop()
        messages.extend(message.nested_type)
        for field in message.field:
            field.ClearField("json_name")
    return description


def main(port, services):
    channel = wire.connect(port)
    pool, listed = wire.reflected(channel)
    missing = [service for service in services if service not in listed]
    equal(missing, [], f"services that are not among {listed}")
    equal(services_by_v1(channel), listed, "the services by both versions of reflection")
    own = [service for service in services if not service.startswith("grpc.")]
    told, compiled = files_of(pool, own), files_of(wire.compiled(), own)
    equal(sorted(told), sorted(compiled), "the files of the services")
    for name in told:
        equal(plain(told[name]), plain(compiled[name]), name)

    series = made.every_kind("reflected", count=20)
    write = wire.Service(channel, pool, "narthex.v1.Write")
    answer = wire.answer(write.WriteV2, made.v2(wire.message(pool, "io.prometheus.write.v2.Request"), series))
    equal((answer.samples, answer.histograms, answer.exemplars), made.totals(series), "what is stored")
    tell("written", **made.shown(series))


main(int(sys.argv[1]), sys.argv[2:])
