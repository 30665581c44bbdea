"""Ending a program's process once nothing of the program is left in it, for waiter.py.

After a program, Python clears every module and then every type that it has, to free memory that the kernel frees
anyway. In a fork each page that this writes to must be copied first, which takes longer than all else that happens in
a short run. Here Python does what a program can notice by its own code and in its own order: exit handlers, flushing,
garbage collection, clearing the program's modules. Only the modules that were there before the program stay as they
are, and the process ends where the clearing of Python's own types would begin.

Whenever anything is unusual, nothing of this happens and Python ends the process by itself.
"""

# Extension modules that let C code of others run, or leave something to do for the end of the process.
UNUSUAL = ("_ctypes", "_curses", "_interpreters", "_tkinter", "_xxsubinterpreters", "readline")


class Gone:
    """Calls a function as soon as nothing refers to it any more."""

    __slots__ = ("call",)

    def __init__(self, call):
        self.call = call

    def __del__(self):
        self.call()


def prepare_to_leave(os, sys, reporter):
    """A function that ends this process in place of Python, where it can, after the last exit handler."""
    modules = sys.modules
    builtins, module_type = modules["builtins"], type(sys)
    # A module that is being imported still gets another place among them when it is complete.
    others = ("sys", "builtins", "__main__", "site", "sitecustomize")
    before = {name: module for name, module in modules.items() if name not in others}
    # In the order of their import, which is that of sys.modules. Python clears the first module last.
    first, *_, last = before
    sizes = len(vars(sys)), len(vars(builtins))
    streams = sys.stdin, sys.stdout, sys.stderr
    count_threads, end_process = modules["_thread"]._count, os._exit

    def leave():
        try:
            if reporter.is_program() and is_usual():
                for stream in streams[1:]:
                    stream.flush()
                # Set to None when Python begins to clear modules.
                sys.__interactivehook__ = Gone(begin)
        except Exception:
            pass  # Python comes upon it by itself.

    def is_usual():
        """Whether the program ended at the end of its file, with exit code 0, and left the interpreter as it was."""
        namespace = vars(reporter.main())
        # Python sets these two for the time from the first to the last line, and sys.exit() ends within it.
        return (
            not {"__file__", "__cached__"} & namespace.keys()
            and "__name__" in namespace
            and sys.modules is modules
            and (len(vars(sys)), len(vars(builtins))) == sizes
            and (sys.stdin, sys.stdout, sys.stderr) == streams
            and (sys.__stdin__, sys.__stdout__, sys.__stderr__) == streams
            and count_threads() == 0
            and not any(map(is_unusual, names_since()))
        )

    def names_since():
        """Names of modules that were imported by the program. To look at the others would copy their pages."""
        names = []
        for name in reversed(modules):
            if name == last:
                break
            names.append(name)
        if len(modules) - len(names) != len(before) + 3:
            raise KeyError(last)
        return names

    def is_unusual(name):
        module = modules[name]
        file = vars(module).get("__file__") if type(module) is module_type else None
        if not isinstance(file, str) or not file.endswith(".so"):
            return False
        return name in UNUSUAL or "/lib-dynload/" not in file

    def begin():
        for name, module in before.items():
            if modules.get(name) is module:
                modules[name] = None
        end = modules[first] = module_type("end")
        vars(end)["gone"] = Gone(finish)
        # Held until after the last of the program's modules.
        sys.__interactivehook__ = end, before

    def finish():
        for stream in streams[1:]:
            try:
                stream.flush()
            except Exception:
                pass
        end_process(0)

    return leave
