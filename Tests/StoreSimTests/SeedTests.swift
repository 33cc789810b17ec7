import StoreSim
import Testing
