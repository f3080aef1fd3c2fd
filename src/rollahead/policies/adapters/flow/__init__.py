"""A small flow-matching policy for states and environments without images.

`net` is the network alone, and `adapter` the policy that the runtime calls; neither imports LeRobot.
`configuration_flow`, `modeling_flow` and `processor_flow` define the same policy in LeRobot's classes, with the type
`rollahead_flow`: after an import of `modeling_flow`, LeRobot can load, train and evaluate it.
"""
