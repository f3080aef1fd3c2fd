"""A small flow-matching policy of ours, for robots and scenes that are seen as numbers.

`net` is the network alone, `adapter` the policy that the runtime drives; neither imports LeRobot. `configuration_flow`,
`modeling_flow` and `processor_flow` are the same policy as LeRobot's classes know it, by the type `rollahead_flow`:
importing this package's `modeling_flow` is all that LeRobot needs to load, train and evaluate it.
"""
